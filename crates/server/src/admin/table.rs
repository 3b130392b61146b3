//! The routes of `/admin/v1`: what has no standard shape. All are the operator's, but for those that name a permission.

use axum::routing::{delete, get, patch, post, put};
use directory::Permission::{
    ManageAdminKeys, ManageLimits, ManageOrganization, ManagePeople, ManageProject, ManageProjects, OwnKeys,
    Read, ReadAudit, ShareData,
};

use super::route::Access::{May, OfConsent, OfKey, OfRequest, Open};
use super::route::Verb::{Delete, Get, Patch, Post, Put};
use super::route::{Route, Work};
use super::{
    accounts, audit, budgets, consents, credits, effective, explain, keys, organizations, pools, promo,
    provider_keys, rates, records, routing, statement, status, topups, wallets,
};

/// Members of a body that makes or changes a key.
const KEY_BOUNDS: [&str; 3] = [
    "endpoints: [chat_completions|responses|embeddings|moderations|images|audio|messages|models]",
    "models: object",
    "networks: [string]",
];

/// What belongs to one organization.
pub(super) const ORGANIZATIONS: &[Route] = &[
    Route::own(Post, "/admin/v1/organizations", "Make an organization", || post(organizations::create))
        .takes(&["name!: string", "time_zone: string", "in_flight: completes|stops", "country: string"]),
    Route::own(Get, "/admin/v1/organizations", "List organizations", || get(organizations::list)),
    Route::own(Get, "/admin/v1/organizations/{organization}", "Show an organization", || {
        get(organizations::show)
    }),
    Route::new(
        Patch,
        "/admin/v1/organizations/{organization}",
        May(ManageOrganization),
        "Change an organization; its country and whether it is verified are for the operator to say",
        organizations::update,
    )
    .takes(&[
        "name: string",
        "time_zone: string",
        "in_flight: completes|stops",
        "country: string",
        "verified: boolean",
    ]),
    Route::new(
        Get,
        "/admin/v1/organizations/{organization}/audit",
        May(ReadAudit),
        "Read the audit log, or export all of it with format=jsonl",
        audit::show,
    )
    .query(audit::EXPORT_FILTERS),
    Route::new(
        Get,
        "/admin/v1/organizations/{organization}/limits",
        May(Read),
        "List rate limits",
        rates::list,
    ),
    Route::new(
        Put,
        "/admin/v1/organizations/{organization}/limits",
        May(ManageLimits),
        "Set the rate limit of a subject and a model",
        rates::set,
    )
    .takes(&[
        "subject!: organization|project|key|user",
        "which: string",
        "model: string",
        "requests_per_minute: integer",
        "tokens_per_minute: integer",
        "input_tokens_per_minute: integer",
        "output_tokens_per_minute: integer",
        "images_per_minute: integer",
        "requests_per_day: integer",
        "tokens_per_day: integer",
        "concurrent_requests: integer",
    ]),
    Route::new(
        Get,
        "/admin/v1/organizations/{organization}/limits/{limit}",
        May(Read),
        "Show a rate limit",
        rates::show,
    ),
    Route::new(
        Delete,
        "/admin/v1/organizations/{organization}/limits/{limit}",
        May(ManageLimits),
        "End a rate limit",
        rates::remove,
    ),
    Route::new(
        Get,
        "/admin/v1/organizations/{organization}/pools",
        May(Read),
        "Show what pays before money does: free requests, complimentary tokens, calls without a fee",
        pools::list,
    ),
    Route::new(
        Put,
        "/admin/v1/organizations/{organization}/programmes/{programme}",
        May(ShareData),
        "Join a programme, in which prompts and answers are shared with its provider for complimentary tokens",
        pools::join,
    ),
    Route::new(
        Delete,
        "/admin/v1/organizations/{organization}/programmes/{programme}",
        May(ShareData),
        "Leave a programme",
        pools::leave,
    ),
    Route::new(
        Get,
        "/admin/v1/organizations/{organization}/projects",
        May(Read),
        "List projects, the archived ones too",
        accounts::projects,
    ),
    Route::new(
        Get,
        "/admin/v1/organizations/{organization}/consents",
        May(Read),
        "List the consents by which apps call: one's own; for owners and admins everybody's",
        consents::list,
    )
    .query(&["user"]),
    Route::new(
        Delete,
        "/admin/v1/organizations/{organization}/consents/{consent}",
        OfConsent,
        "Revoke a consent, for good: one's own; for owners and admins anybody's",
        consents::revoke,
    ),
    Route::new(
        Get,
        "/admin/v1/organizations/{organization}/users",
        May(Read),
        "List members",
        accounts::users,
    ),
    Route::new(
        Post,
        "/admin/v1/organizations/{organization}/users",
        May(ManagePeople),
        "Add a member without an invitation",
        accounts::add_user,
    )
    .takes(&["email!: string", "name: string", "role: owner|admin|reader"]),
    Route::new(
        Delete,
        "/admin/v1/organizations/{organization}/users/{user}",
        May(ManagePeople),
        "Remove a member",
        accounts::remove_user,
    ),
    Route::new(
        Post,
        "/admin/v1/organizations/{organization}/admin-keys",
        May(ManageAdminKeys),
        "Make an administrator's key in the name of a member",
        accounts::create_admin_key,
    )
    .takes(&["user: string", "name: string", "expires_at: string"]),
    Route::with(
        Post,
        "/admin/v1/invites/accept",
        Open,
        "Accept an invitation; its token is the credential",
        Work::Own(|| post(accounts::accept_invite)),
    )
    .takes(&["token!: string", "name: string"]),
];

/// Projects and keys.
pub(super) const PROJECTS: &[Route] = &[
    Route::own(Post, "/admin/v1/projects", "Make a project", || post(organizations::create_project)).takes(
        &[
            "name!: string",
            "organization!: string",
            "environment: dev|staging|prod",
            "data_class: public|internal|sensitive",
            "after_grant: stop|paid",
        ],
    ),
    Route::new(Get, "/admin/v1/projects/{project}", May(Read), "Show a project", accounts::show_project),
    Route::new(
        Patch,
        "/admin/v1/projects/{project}",
        May(ManageProject),
        "Change a project; its environment, data class, what follows a grant and use of provider keys ask for a role in the organization",
        accounts::update_project,
    )
    .takes(&[
        "name: string",
        "environment: dev|staging|prod",
        "data_class: public|internal|sensitive",
        "after_grant: stop|paid",
        "models: object",
        "byok: off|first|only",
        "byok_fallback: boolean",
    ]),
    Route::new(
        Post,
        "/admin/v1/projects/{project}/archive",
        May(ManageProjects),
        "Close a project for calls, for good",
        accounts::archive_project,
    ),
    Route::new(Get, "/admin/v1/projects/{project}/keys", May(Read), "List a project's keys", keys::list)
        .query(&["limit", "after"]),
    Route::new(Post, "/admin/v1/keys", May(OwnKeys), "Make a key", keys::create).about_body().takes(&[
        "project!: string",
        "name: string",
        "expires_at: string",
        "owner: string",
        KEY_BOUNDS[0],
        KEY_BOUNDS[1],
        KEY_BOUNDS[2],
    ]),
    Route::new(Get, "/admin/v1/keys/{key}", May(Read), "Show a key, without its secret", keys::show),
    Route::new(
        Get,
        "/admin/v1/keys/{key}/limits",
        May(Read),
        "Show everything that binds a key",
        effective::show,
    )
    .query(&["user"]),
    Route::new(
        Get,
        "/admin/v1/keys/{key}/route",
        May(Read),
        "Show where a call of a model with this key would go now, and why",
        routing::of_key,
    )
    .query(&["model"]),
    Route::new(Patch, "/admin/v1/keys/{key}", OfKey, "Change a key", keys::update).takes(&[
        "name: string",
        "expires_at: string",
        "disabled: boolean",
        KEY_BOUNDS[0],
        KEY_BOUNDS[1],
        KEY_BOUNDS[2],
    ]),
    Route::new(Delete, "/admin/v1/keys/{key}", OfKey, "Revoke a key, for good", keys::revoke),
    Route::new(Post, "/admin/v1/keys/{key}/rotate", OfKey, "Give a key another secret", keys::rotate)
        .takes(&["grace_seconds: integer"]),
];

/// Keys at providers that organizations bring, and the vault that they are kept in.
pub(super) const PROVIDER_KEYS: &[Route] = &[
    Route::new(
        Get,
        "/admin/v1/organizations/{organization}/provider-keys",
        May(Read),
        "List the provider keys that an organization brought, without their secrets",
        provider_keys::list,
    ),
    Route::with(
        Post,
        "/admin/v1/organizations/{organization}/provider-keys",
        May(ManageOrganization),
        "Bring a provider key; the provider is asked first whether it takes it",
        Work::Waiting(provider_keys::bring),
    )
    .takes(&[
        "provider!: string",
        "secret!: string",
        "label: string",
        "project: string",
        "test: boolean",
    ]),
    Route::new(
        Get,
        "/admin/v1/organizations/{organization}/provider-keys/{provider_key}",
        May(Read),
        "Show a provider key, without its secret",
        provider_keys::show,
    ),
    Route::new(
        Patch,
        "/admin/v1/organizations/{organization}/provider-keys/{provider_key}",
        May(ManageOrganization),
        "Change a provider key's label, or disable it",
        provider_keys::update,
    )
    .takes(&["label: string", "disabled: boolean"]),
    Route::new(
        Delete,
        "/admin/v1/organizations/{organization}/provider-keys/{provider_key}",
        May(ManageOrganization),
        "Forget a provider key and its secret",
        provider_keys::remove,
    ),
    Route::with(
        Post,
        "/admin/v1/organizations/{organization}/provider-keys/{provider_key}/test",
        May(ManageOrganization),
        "Ask the provider whether it takes a provider key",
        Work::Waiting(provider_keys::test),
    ),
    Route::own(
        Get,
        "/admin/v1/vault",
        "Show which master keys there are, and what each of them has sealed",
        || get(provider_keys::vault),
    ),
    Route::own(
        Post,
        "/admin/v1/vault/rotate",
        "Read the master keys again, and seal every provider key by the first of them",
        || post(provider_keys::rotate),
    ),
];

/// Money.
pub(super) const MONEY: &[Route] = &[
    Route::own(Get, "/admin/v1/organizations/{organization}/balance", "Show balances", || {
        get(wallets::balance)
    }),
    Route::own(Get, "/admin/v1/organizations/{organization}/ledger", "Read the journal", || {
        get(records::ledger)
    })
    .query(&["before", "limit"]),
    Route::own(Get, "/admin/v1/organizations/{organization}/statement", "Show a month's statement", || {
        get(statement::show)
    })
    .query(&["month", "format"]),
    Route::own(Post, "/admin/v1/wallets", "Open a wallet", || post(wallets::create)).takes(&[
        "organization!: string",
        "name!: string",
        "project: string",
        "models: [string]",
        "overflow: boolean",
    ]),
    Route::own(Get, "/admin/v1/wallets", "List wallets", || get(wallets::list)).query(&["organization"]),
    Route::own(Post, "/admin/v1/credits/grants", "Add credit", || post(credits::grant)).takes(&[
        "organization!: string",
        "wallet: string",
        "amount!: string",
        "kind!: promo|prepaid",
        "expires_at: string",
        "reason: string",
    ]),
    Route::own(Post, "/admin/v1/credits/transfers", "Move credit between wallets", || {
        post(credits::transfer)
    })
    .takes(&[
        "organization!: string",
        "from!: string",
        "to!: string",
        "amount!: string",
        "reason: string",
    ]),
    Route::own(Post, "/admin/v1/credits/refunds", "Give back what a call cost", || post(credits::refund))
        .takes(&["request!: string", "amount: string", "expires_at: string", "reason!: string"]),
    Route::own(Post, "/admin/v1/credits/payouts", "Pay credit out", || post(credits::pay_out)).takes(&[
        "organization!: string",
        "wallet: string",
        "amount!: string",
        "reason!: string",
    ]),
    Route::own(Post, "/admin/v1/credits/adjustments", "Correct a balance", || post(credits::adjust)).takes(
        &[
            "organization!: string",
            "wallet: string",
            "amount!: string",
            "expires_at: string",
            "reason!: string",
        ],
    ),
    Route::own(Post, "/admin/v1/credits/redeem", "Redeem a promo code", || post(credits::redeem))
        .takes(&["organization!: string", "code!: string"]),
    Route::own(Post, "/admin/v1/promo-codes", "Make a promo code", || post(promo::create)).takes(&[
        "code!: string",
        "amount!: string",
        "uses!: integer",
        "expires_at: string",
        "credit_days: integer",
        "models: [string]",
    ]),
    Route::own(Get, "/admin/v1/promo-codes", "List promo codes", || get(promo::list)),
    Route::own(Post, "/admin/v1/budgets", "Set a budget", || post(budgets::create)).takes(&[
        "organization!: string",
        "of!: organization|project|key|user|feature|environment|run",
        "which: string",
        "period!: daily|weekly|monthly|total",
        "zone: string",
        "cost: string",
        "tokens: integer",
        "steps: integer",
        "hard: boolean",
        "thresholds: [integer]",
    ]),
    Route::own(Get, "/admin/v1/budgets", "List budgets", || get(budgets::list))
        .query(&["organization", "limit"]),
    Route::own(Patch, "/admin/v1/budgets/{id}", "Change a budget", || patch(budgets::update)).takes(&[
        "organization!: string",
        "cost: string",
        "tokens: integer",
        "steps: integer",
        "hard: boolean",
        "thresholds: [integer]",
    ]),
    Route::own(Delete, "/admin/v1/budgets/{id}", "Remove a budget", || delete(budgets::remove))
        .query(&["organization"]),
    Route::own(Get, "/admin/v1/events", "Read what the books told", || get(records::events)).query(&[
        "organization",
        "before",
        "limit",
    ]),
    Route::own(Post, "/admin/v1/topups", "Begin a top-up", || post(topups::create)).takes(&[
        "organization!: string",
        "amount!: string",
        "save_method: boolean",
    ]),
    Route::own(Get, "/admin/v1/topups", "List top-ups", || get(topups::list)).query(&[
        "organization",
        "before",
        "limit",
    ]),
    Route::own(Get, "/admin/v1/topups/{id}", "Show a top-up", || get(topups::show)),
    Route::own(Post, "/admin/v1/topups/{id}/confirm", "Say that a top-up was paid", || post(topups::confirm))
        .takes(&["reason!: string"]),
    Route::own(Get, "/admin/v1/organizations/{organization}/recharge", "Show auto-recharge", || {
        get(topups::show_recharge)
    }),
    Route::own(Put, "/admin/v1/organizations/{organization}/recharge", "Set auto-recharge", || {
        put(topups::set_recharge)
    })
    .takes(&["threshold!: string", "amount!: string", "monthly_max!: string"]),
    Route::own(Delete, "/admin/v1/organizations/{organization}/recharge", "Stop auto-recharge", || {
        delete(topups::stop_recharge)
    }),
    Route::own(Get, "/admin/v1/usage", "Read cost rows", || get(records::usage))
        .query(&["organization", "limit"]),
    Route::with(
        Get,
        "/admin/v1/requests/{id}",
        OfRequest,
        "Show a call's rows and hold",
        Work::Own(|| get(records::request)),
    ),
    Route::with(
        Get,
        "/admin/v1/requests/{id}/explain",
        OfRequest,
        "Explain a request",
        Work::Own(|| get(explain::show)),
    ),
    Route::own(Get, "/admin/v1/routes/explain", "Show where a call of a model would go now, and why", || {
        get(routing::explain)
    })
    .query(&["model"]),
    Route::own(Get, "/admin/v1/status", "Show the gateway's state", || get(status)),
];
