//! The walk of one key: every layer that its calls pass, in their order, then the smallest call that is safe, and
//! whether its cost landed where it should.
//!
//! It makes the calls that any client makes, and tells what it saw. With the operator's key it sees more; without it, it
//! goes by what the gateway tells the key itself. It must never print a key.

use domain::{Money, Pico, Price};
use server::Finding;

use super::answers::{Data, Explained, Generation, Limits, Model, Models, OwnKey, Refused, amount};
use super::words::{found, layer, ok, refused};
use crate::client::{GatewayUrl, Heard, ask};
use crate::commands::limits::encoded;
use crate::failure::Failure;

/// Text that may go anywhere.
const HARMLESS: &str = "Say: ok";
/// Enough for a word, and a small bill if a model says more.
const TOKENS_MAX: u32 = 16;

/// The code of a refusal of a key that may call other endpoints.
const NOT_ITS_ENDPOINT: &str = "insufficient_permissions";

/// What is walked.
pub(super) struct Walk<'a> {
    pub(super) url: &'a GatewayUrl,
    pub(super) key: &'a str,
    pub(super) operator: Option<&'a str>,
    pub(super) model: Option<&'a str>,
    pub(super) live: bool,
    pub(super) findings: Vec<Finding>,
}

/// Nothing further can be found out.
struct End;

type Step<T> = Result<T, End>;

impl Walk<'_> {
    /// Walks as far as it goes.
    pub(super) fn run(mut self) -> Vec<Finding> {
        // Whatever ends the walk is a finding, so how it ended is told already.
        let _ = self.walk();
        self.findings
    }

    fn walk(&mut self) -> Step<()> {
        let text = server::key_text(self.key);
        let is_ours = text.ok;
        if !is_ours {
            // What is no key of a gateway is sent nowhere: it may be somebody's password.
            return self.end(text);
        }
        let models = self.models()?;
        let own = self.own()?;
        if let Some(limits) = self.limits(&own.key_id) {
            self.limits_have_room(&limits);
        }
        let Some(model) = self.choose(models)? else { return Ok(()) };
        let request = self.call(&model)?;
        self.landed(&request, &own, &model)
    }

    fn say(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn end<T>(&mut self, finding: Finding) -> Step<T> {
        self.say(finding);
        Err(End)
    }

    fn ask(&mut self, check: &str, path: &str, body: Option<String>) -> Step<Heard> {
        match ask(self.url, self.key, path, body) {
            Ok(heard) => Ok(heard),
            Err(Failure { message, next_step, .. }) => {
                self.end(found(check, message, next_step.unwrap_or_else(|| "try again".to_owned())))
            }
        }
    }

    /// Whether there is a gateway, whether it lets the key in (1.1 and 1.2), and the models that the key may call. `None`
    /// where the key may not list them.
    fn models(&mut self) -> Step<Option<Vec<Model>>> {
        let heard = self.ask("gateway", "/v1/models", None)?;
        let url = self.url.to_string();
        let error = heard.read::<Refused>().map(|refused| refused.error);
        let refusal = match (heard.read::<Models>(), error) {
            (Some(models), _) if heard.status == 200 && heard.request_id.is_some() => {
                self.say(ok(
                    "gateway",
                    format!("answers at {url}; clients of OpenAI take {url}/v1 as base URL"),
                ));
                return Ok(Some(models.data));
            }
            (_, Some(error)) if error.owner.is_some() && heard.request_id.is_some() => error,
            _ => {
                let message = format!("{url}/v1/models answered {}, but not as a gateway", heard.status);
                let next = "give the address of the gateway as --url, without /v1; clients of OpenAI take the one with \
                            /v1 as their base URL";
                return self.end(found("gateway", message, next));
            }
        };
        self.say(ok("gateway", format!("answers at {url}")));
        if refusal.code.as_deref() == Some(NOT_ITS_ENDPOINT) {
            self.say(ok("1.1 key", "the key may not list models; name one with --model"));
            return Ok(None);
        }
        self.end(refused(&refusal))
    }

    /// What the gateway tells the key about itself: whose it is, and its budgets (1.1, 1.2, 1.6).
    fn own(&mut self) -> Step<OwnKey> {
        let heard = self.ask("1.1 key", "/api/v1/key", None)?;
        let Some(Data { data: own }) = heard.read::<Data<OwnKey>>().filter(|_| heard.status == 200) else {
            let message = format!(
                "{} speaks OpenAI's API, but not as a gateway: /api/v1/key answered {}",
                self.url, heard.status
            );
            let next = "is this a provider, or an older gateway? give the address of the gateway as --url";
            return self.end(found("gateway", message, next));
        };
        let expires = own.expires_at.as_deref().map_or("never".to_owned(), |at| format!("at {at}"));
        self.say(ok("1.1 key", format!("{} is good and expires {expires}", own.label)));
        self.say(ok("1.2 project", format!("{} of {} is open", own.workspace_id, own.organization_id)));
        if let Some(budget) = &own.effective_budget {
            let left = amount(&budget.remaining_usd).unwrap_or_default();
            let reset = budget
                .resets_at
                .as_deref()
                .map_or_else(|| "it never starts anew".to_owned(), |at| format!("it starts anew at {at}"));
            let figures = format!(
                "the tightest budget ({}) has {left} of {} left; {reset}",
                budget.scope.replace('_', " "),
                budget.limit_usd.get()
            );
            let next = "wait, or have the budget raised: `tollkeeper budgets list --org ORG`; another key has no more \
                        room in it";
            let is_used_up = left <= Money::ZERO;
            self.say(if is_used_up {
                found("1.6 usage limit", figures, next)
            } else {
                ok("1.6 usage limit", figures)
            });
        }
        Ok(own)
    }

    /// The whole chain, for whoever has the operator's key.
    fn limits(&mut self, key: &str) -> Option<Limits> {
        let heard = ask(self.url, self.operator?, &format!("/admin/v1/keys/{key}/limits"), None).ok()?;
        let limits = heard.read::<Limits>().filter(|_| heard.status == 200);
        if limits.is_none() {
            self.say(found(
                "operator",
                format!("TOLLKEEPER_OPERATOR_KEY is not this gateway's operator's key (status {})", heard.status),
                "set it to what operator.key in the gateway's data folder holds, or unset it; the walk goes on without",
            ));
            self.operator = None;
        }
        limits
    }

    fn limits_have_room(&mut self, limits: &Limits) {
        let (project, organization) = (&limits.project, &limits.organization);
        let names =
            format!("project {}, organization {} ({})", project.name, organization.name, organization.id);
        self.say(ok("1.2 project", names));
        let all =
            limits.rate_limits.iter().flat_map(|group| group.limits.iter().map(move |limit| (group, limit)));
        let mut bound = false;
        for (group, limit) in all.filter(|(_, limit)| limit.binding) {
            bound = true;
            let Some(left) = limit.remaining else { continue };
            let what = format!(
                "{} of {} {} left for {} ({})",
                left,
                limit.limit,
                limit.measure.replace('_', " "),
                group.models,
                limit.of
            );
            self.say(if left == 0 {
                found(
                    "1.7 rate limit",
                    what,
                    "wait; another key does not raise it, since the limit is its owner's",
                )
            } else {
                ok("1.7 rate limit", what)
            });
        }
        if !bound {
            self.say(ok("1.7 rate limit", "no limit in this chain"));
        }
        self.credit(limits);
    }

    fn credit(&mut self, limits: &Limits) {
        let credit = &limits.credit;
        let top_up = format!(
            "tollkeeper credits grant --org {} --amount 10.00 --kind prepaid",
            limits.organization.id
        );
        let not_credit =
            "an app subscription such as ChatGPT Plus is not API credit, and another key has none more";
        let grants_only = limits.project.after_grant == "stop";
        let beside = credit.available.checked_sub(credit.grants).unwrap_or_default();
        self.say(if credit.frozen {
            found("1.8 billing", "the books are frozen", "the operator runs `tollkeeper verify`")
        } else if !credit.debt.is_zero() {
            found(
                "1.8 billing",
                format!("{} are owed; calls are refused until they are paid", credit.debt),
                top_up,
            )
        } else if credit.available.is_zero() {
            found("1.8 billing", format!("no credit is left; {not_credit}"), top_up)
        } else if grants_only && credit.grants.is_zero() {
            found(
                "1.8 billing",
                format!("the project stops where its grants end, and none is left; {beside} of other credit lies beside"),
                format!(
                    "tollkeeper project update {} --after-grant paid, or tollkeeper credits grant --org {} --amount 10.00 \
                     --kind promo",
                    limits.project.id, limits.organization.id
                ),
            )
        } else if grants_only {
            let left = format!("{} of grants, where the project stops; {beside} of other credit", credit.grants);
            ok("1.8 billing", left)
        } else {
            ok("1.8 billing", format!("{} available", credit.available))
        });
    }

    /// The model to call (1.3): the one that was named, or the cheapest that is safe. `None` where no call is safe.
    fn choose(&mut self, models: Option<Vec<Model>>) -> Step<Option<Model>> {
        const CHECK: &str = "1.3 model access";
        if let Some(name) = self.model {
            let heard = self.ask(CHECK, &format!("/v1/models/{}", encoded(name)), None)?;
            if let Some(refusal) = heard.read::<Refused>() {
                if refusal.error.code.as_deref() == Some(NOT_ITS_ENDPOINT) {
                    return Ok(self.afford(Model::unseen(name)));
                }
                return self.end(refused(&refusal.error));
            }
            let Some(model) = heard.read::<Model>() else {
                return self.end(found(
                    CHECK,
                    format!("the gateway tells nothing of `{name}`"),
                    "check its name",
                ));
            };
            return Ok(self.afford(model));
        }
        let Some(models) = models else { return Ok(None) };
        let count = models.len();
        let priced = models.into_iter().filter(Model::can_chat).filter(|model| model.prices().is_some());
        let cost =
            |model: &Model| model.prices().map(|(input, output)| input.pico().saturating_add(output.pico()));
        let mut priced: Vec<Model> = priced.collect();
        // Of those that cost the same, one that costs nobody anything.
        priced.sort_by_key(|model| (!model.is_safe() && !self.live, cost(model), !model.is_safe()));
        match priced.into_iter().next() {
            Some(model) => Ok(self.afford(model)),
            None => self.end(found(
                CHECK,
                format!("the key may call {count} models, and none of them chats at a known price"),
                "look at the lists of models of the project, the key and the usage tier: `tollkeeper limits show`",
            )),
        }
    }

    /// The model, if calling it costs nothing or that was asked for.
    fn afford(&mut self, model: Model) -> Option<Model> {
        self.say(ok("1.3 model access", format!("the key may call `{}`", model.id)));
        if self.live || model.is_safe() {
            return Some(model);
        }
        let message = format!(
            "not made: no model that the key may call is free or simulated, and `{}` costs real money",
            model.id
        );
        let next = "give --live to make the smallest call of it, for a fraction of a cent".to_owned();
        self.say(Finding { next_step: Some(next), ..ok("test call", message) });
        None
    }

    /// The smallest call there is, with harmless text. Answers its id.
    fn call(&mut self, model: &Model) -> Step<String> {
        let messages = serde_json::json!([{ "role": "user", "content": HARMLESS }]);
        let body = serde_json::json!({ "model": model.id, "messages": messages, "max_tokens": TOKENS_MAX });
        let heard = self.ask("test call", "/v1/chat/completions", Some(body.to_string()))?;
        if let Some(refusal) = heard.read::<Refused>() {
            return self.end(refused(&refusal.error));
        }
        let Some(request) = heard.request_id.clone().filter(|_| heard.status == 200) else {
            let message = format!("the call was answered with status {}", heard.status);
            return self.end(found("test call", message, "look at the gateway's log"));
        };
        self.say(ok("test call", format!("`{}` answered; the call is {request}", model.id)));
        for (what, left) in &heard.remaining {
            self.findings.push(ok("1.7 rate limit", format!("{left} {what} left after it")));
        }
        Ok(request)
    }

    /// Whether the call is on the books: of this key, its project and its organization, at the price that was told.
    fn landed(&mut self, request: &str, own: &OwnKey, model: &Model) -> Step<()> {
        const CHECK: &str = "cost";
        let heard = self.ask(CHECK, &format!("/api/v1/generation?id={request}"), None)?;
        let Some(Data { data: booked }) = heard.read::<Data<Generation>>() else {
            let message = format!("the call {request} is not on the books (status {})", heard.status);
            return self.end(found(CHECK, message, "run `tollkeeper verify`, and look at the gateway's log"));
        };
        let cost = amount(&booked.total_cost).unwrap_or(Money::MAX);
        let place = (booked.workspace_id.as_str(), booked.key_id.as_str());
        if place != (own.workspace_id.as_str(), own.key_id.as_str()) {
            let message = format!("{cost} landed on {} and {} instead of this key's", place.0, place.1);
            return self.end(found(CHECK, message, format!("tollkeeper explain {request}")));
        }
        self.passed(request, own, cost)?;
        let expected = model.prices().and_then(|prices| expected(prices, &booked));
        let tokens = format!("{} input and {} output tokens", booked.tokens_prompt, booked.tokens_completion);
        if expected.is_some_and(|expected| expected != cost) {
            let expected = expected.unwrap_or_default();
            let message = format!("{tokens} cost {cost}, and by the price that is told they cost {expected}");
            return self.end(found(CHECK, message, format!("tollkeeper explain {request}")));
        }
        let usage = self.usage_grew(own, cost)?;
        let to = format!("{}, {} and {}", own.organization_id, own.workspace_id, own.key_id);
        let from = &booked.provider_name;
        self.say(ok(
            CHECK,
            format!("it cost {cost}, as expected: {tokens} of {from}, booked on {to}; {usage}"),
        ));
        Ok(())
    }

    /// With the operator's key: each layer as it was recorded, and the row on the books.
    fn passed(&mut self, request: &str, own: &OwnKey, cost: Money) -> Step<()> {
        let Some(operator) = self.operator else { return Ok(()) };
        let path = format!("/admin/v1/requests/{request}/explain");
        let Some(explained) =
            ask(self.url, operator, &path, None).ok().and_then(|heard| heard.read::<Explained>())
        else {
            return self.end(found(
                "explain",
                "the call is not explained",
                format!("tollkeeper explain {request}"),
            ));
        };
        let passed: Vec<&str> = explained
            .layers
            .iter()
            .filter(|passed| passed.passed)
            .map(|passed| layer(&passed.owner))
            .collect();
        self.say(ok("explain", format!("passed {}", passed.join(", "))));
        let expected = (own.organization_id.as_str(), own.workspace_id.as_str(), own.key_id.as_str(), cost);
        let is_right = |row: &super::answers::Attempt| {
            (row.org.as_str(), row.project.as_str(), row.key.as_str(), row.cost) == expected
        };
        if explained.attempts.last().is_some_and(is_right) {
            return Ok(());
        }
        let message = "the row on the books is not of this organization, project and key at this cost";
        self.end(found("cost", message, format!("tollkeeper explain {request}")))
    }

    /// Whether what the key has cost is more by the call's cost; others may call with it meanwhile.
    fn usage_grew(&mut self, own: &OwnKey, cost: Money) -> Step<String> {
        let heard = self.ask("cost", "/api/v1/key", None)?;
        let now = heard.read::<Data<OwnKey>>().and_then(|now| amount(&now.data.usage));
        let grown = now.zip(amount(&own.usage)).and_then(|(now, before)| now.checked_sub(before));
        match grown.zip(now) {
            Some((grown, now)) if grown >= cost => Ok(format!("the key has cost {now} in all")),
            Some(_) | None => {
                let message = "the key's usage did not grow by what the call cost";
                self.end(found(
                    "cost",
                    message,
                    "compare `tollkeeper usage list` with the provider's own figures",
                ))
            }
        }
    }
}

/// What so many tokens cost at these prices; `None` where some came from a provider's cache, at another price.
fn expected((input, output): (Price, Price), booked: &Generation) -> Option<Money> {
    if booked.native_tokens_cached > 0 {
        return None;
    }
    let cost: Pico =
        input.times(booked.tokens_prompt)?.checked_add(output.times(booked.tokens_completion)?)?;
    cost.ceil_to_money()
}
