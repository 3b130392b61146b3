//! The outermost object of a request: whose members are read, and how often each may stand there.
//!
//! A member that is read may stand only once, and by its own name: parsers disagree on which of two counts, and a provider
//! that takes the other one would serve, and bill, another call than the one that was held for. Which members a dialect
//! reads is the dialect's business.

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::bad_request::BadRequest;
use crate::field;
use crate::json::{self, Into, Kind, Name, Take};

/// The members that a dialect reads of a request.
pub(crate) trait Members<'a> {
    /// Takes the value of one member by one of the ways of [`Refusals`].
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &str,
        map: &mut A,
        refusals: &mut Refusals,
    ) -> Result<(), A::Error>;
}

/// Reads a whole body into these members: all of it must be JSON, and an object.
pub(crate) fn read<'a, M: Members<'a>>(body: &'a str, members: M) -> Result<M, BadRequest> {
    let mut object = Object { members, refusals: Refusals::default() };
    json::read(body, &mut object).map_err(BadRequest::body)?;
    match object.refusals.first {
        Some(refused) => Err(refused),
        None => Ok(object.members),
    }
}

/// What is wrong with a request, of which the first is told.
#[derive(Default)]
pub(crate) struct Refusals {
    first: Option<BadRequest>,
}

impl Refusals {
    fn add(&mut self, refusal: BadRequest) {
        self.first.get_or_insert(refusal);
    }

    /// Takes a value as it stands.
    pub(crate) fn raw<'a, A: MapAccess<'a>>(
        &mut self,
        slot: &mut Option<&'a RawValue>,
        name: &str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let value = map.next_value::<&'a RawValue>()?;
        if slot.replace(value).is_some() {
            self.add(BadRequest::duplicate(name));
        }
        json::check_depth(value.get())
    }

    /// Reads a value.
    pub(crate) fn once<'a, A: MapAccess<'a>, T: Take<'a> + Default>(
        &mut self,
        slot: &mut Option<T>,
        name: &str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let mut value = T::default();
        map.next_value_seed(Into(&mut value))?;
        if slot.replace(value).is_some() {
            self.add(BadRequest::duplicate(name));
        }
        Ok(())
    }

    /// Passes over a value that is not read, unless it has the name of a decisive one, be it but for capitals.
    pub(crate) fn unread<'a, A: MapAccess<'a>>(
        &mut self,
        name: &str,
        decisive: &[&'static str],
        map: &mut A,
    ) -> Result<(), A::Error> {
        if decisive.contains(&name) {
            self.add(BadRequest::untaken(name));
        } else if let Some(meant) = field::disguised(name, decisive) {
            self.add(BadRequest::disguised(name, meant));
        }
        json::skip_shallow(map)
    }
}

struct Object<M> {
    members: M,
    refusals: Refusals,
}

impl<'a, M: Members<'a>> Take<'a> for Object<M> {
    fn kind(&mut self, kind: Kind) {
        if kind != Kind::Object {
            self.refusals.add(BadRequest::body(format_args!("expected an object, but got {kind} instead")));
        }
    }

    fn object<A: MapAccess<'a>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            self.members.member(&name, &mut map, &mut self.refusals)?;
        }
        Ok(())
    }
}
