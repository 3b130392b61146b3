//! `route advise`: asks for the facts that were not given, and says which way suits them.

use serde::Serialize;

use crate::advice::{Advice, Facts, access, route};
use crate::args::{RouteAdviseArgs, Said};
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};
use crate::table::fields;

/// Both decisions, and what they follow from.
#[derive(Debug, Serialize)]
struct Advised {
    object: &'static str,
    facts: Facts,
    route: Advice,
    access: Advice,
}

impl View for Advised {
    fn human(&self) -> String {
        let shown = |what, advice: &Advice| {
            [
                (what, advice.take.to_owned()),
                ("because", advice.because.to_owned()),
                ("next", advice.next_step.to_owned()),
            ]
        };
        let [route, access] =
            [shown("route", &self.route), shown("access", &self.access)].map(|shown| fields(&shown));
        format!("{route}\n\n{access}")
    }
}

/// Does what was asked.
pub(crate) fn run(args: &RouteAdviseArgs, output: &mut Output) -> Result<(), Failure> {
    let facts = facts(args, output)?;
    let (route, access) = (route(&facts), access(&facts));
    output.own(&Advised { object: "route_advice", facts, route, access })
}

/// The facts, those that were not given by asking for them.
fn facts(args: &RouteAdviseArgs, output: &mut Output) -> Result<Facts, Failure> {
    let missing = args.missing();
    if !missing.is_empty() && !output.hears() {
        let message =
            format!("nobody is there to ask, and not all is said: {} is missing", missing.join(", "));
        return Err(Failure::new(Exit::Usage, message).next("say it, such as --prototype yes --calls 500"));
    }
    let mut yes = |said: Option<Said>, question: &str| match said {
        Some(said) => Ok(said == Said::Yes),
        None => output.ask(&format!("{question} (yes or no)"), |answer| match answer {
            "yes" | "y" => Some(true),
            "no" | "n" => Some(false),
            _ => None,
        }),
    };
    let prototype = yes(args.prototype, "Is it a prototype?")?;
    let strict_compliance = yes(args.strict_compliance, "Is strict compliance asked for?")?;
    let latency_flexible = yes(args.latency_flexible, "May answers come hours later?")?;
    let openai_billing = yes(args.openai_billing, "Do you have an account at OpenAI with billing?")?;
    let needs_openai_model = yes(args.needs_openai_model, "Must it be a model of OpenAI's?")?;
    let card = yes(args.card, "Do you have a card to pay with?")?;
    let calls = match args.calls {
        Some(calls) => calls,
        None => {
            output.ask("How many calls a month? (a number)", |answer| answer.replace(',', "").parse().ok())?
        }
    };
    Ok(Facts {
        prototype,
        calls,
        strict_compliance,
        latency_flexible,
        openai_billing,
        needs_openai_model,
        card,
    })
}
