//! What clients send to the agent endpoints, as registrations and checks. Pure: bytes in, values out. Everything that
//! Consul would do and Forebay does not is refused in words; nothing is left out in silence.

use std::collections::BTreeMap;

use super::check_definition::{self, Definition};
use super::refused::Refused;
use crate::check::{CheckSpec, Status};
use crate::fields::{BadBody, Fields, Spelling};
use crate::instance::{Declared, Registration, TaggedAddress, Weights};

/// Consul takes no larger one.
pub(super) const WEIGHT_MAX: u32 = 65_535;
const PORT_MAX: u32 = 65_535;

/// A check that is registered by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckRegistration {
    pub(crate) spec: CheckSpec,
    /// The instance it belongs to; the node when there is none.
    pub(crate) instance: Option<String>,
}

/// The body of `/v1/agent/service/register`.
pub(crate) fn service(body: &[u8], replace_checks: bool) -> Result<Registration, Refused> {
    let mut fields = Fields::of_body(body, Spelling::Consul)?;
    let name = fields.text("Name")?;
    if name.is_empty() {
        return Err(Refused::bad("Name is missing: a service needs a name"));
    }
    let id = Some(fields.text("ID")?).filter(|id| !id.is_empty());
    let address = fields.text("Address")?;
    if address.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_unspecified()) {
        let why = format!(
            "Address {address:?} is no address that anybody could connect to; leave it out for the node's"
        );
        return Err(Refused::bad(why));
    }
    let port = fields.count("Port", PORT_MAX)?.unwrap_or(0);
    let tags = fields.texts("Tags")?;
    let meta = fields.text_map("Meta")?;
    let weights = weights(&mut fields)?;
    let enable_tag_override = fields.flag("EnableTagOverride")?;
    // There are no access lists that it could speak for.
    fields.text("Token")?;
    refuse_mesh(&mut fields)?;
    check_definition::refuse_places(&mut fields)?;
    let tagged_addresses = tagged_addresses(&mut fields)?;
    let checks = checks(&mut fields, &name)?;
    fields.finish()?;
    Ok(Registration {
        id: id.map(Into::into),
        service: name.into(),
        address: address.into(),
        // The bound above is that of the type.
        port: u16::try_from(port).unwrap_or_default(),
        tagged_addresses,
        tags,
        meta,
        weights,
        enable_tag_override,
        declared: Declared::Ready,
        checks,
        replace_checks,
    })
}

/// The body of `/v1/agent/check/register`.
pub(crate) fn check(body: &[u8]) -> Result<CheckRegistration, Refused> {
    let mut fields = Fields::of_body(body, Spelling::Consul)?;
    let name = fields.text("Name")?;
    let instance = Some(fields.text("ServiceID")?).filter(|id| !id.is_empty());
    fields.text("Token")?;
    check_definition::refuse_places(&mut fields)?;
    let mut definition = Definition::read(&mut fields)?;
    fields.finish()?;
    if name.is_empty() {
        return Err(Refused::bad("Name is missing: a check needs a name"));
    }
    definition.id.get_or_insert_with(|| name.clone());
    definition.name = name;
    let spec = definition.spec()?;
    Ok(CheckRegistration { spec, instance })
}

/// The body of `/v1/agent/check/update/:id`.
pub(crate) fn update(body: &[u8]) -> Result<(Status, String), Refused> {
    let mut fields = Fields::of_body(body, Spelling::Consul)?;
    let status = fields.text("Status")?;
    let output = fields.text("Output")?;
    fields.finish()?;
    let status = Status::parse(&status).ok_or_else(|| {
        Refused::bad(format!("Status {status:?} is none; write \"passing\", \"warning\" or \"critical\""))
    })?;
    Ok((status, output))
}

fn checks(fields: &mut Fields, service: &str) -> Result<Vec<CheckSpec>, Refused> {
    let mut all: Vec<Fields> = fields.object("Check")?.into_iter().collect();
    all.extend(fields.objects("Checks")?);
    let mut checks = Vec::with_capacity(all.len());
    for mut fields in all.into_iter().filter(|fields| !fields.is_empty()) {
        let name = fields.text("Name")?;
        let mut definition = Definition::read(&mut fields)?;
        fields.finish()?;
        definition.name = if name.is_empty() { format!("Service '{service}' check") } else { name };
        checks.push(definition.spec()?);
    }
    Ok(checks)
}

fn weights(fields: &mut Fields) -> Result<Weights, BadBody> {
    let Some(mut weights) = fields.object("Weights")? else { return Ok(Weights::default()) };
    let Weights { passing, warning } = Weights::default();
    let read = Weights {
        passing: weights.count("Passing", WEIGHT_MAX)?.unwrap_or(passing),
        warning: weights.count("Warning", WEIGHT_MAX)?.unwrap_or(warning),
    };
    weights.finish()?;
    Ok(read)
}

/// Where the instance is in other networks.
fn tagged_addresses(fields: &mut Fields) -> Result<BTreeMap<Box<str>, TaggedAddress>, Refused> {
    let mut tagged = BTreeMap::new();
    for (tag, mut place) in fields.object_map("TaggedAddresses")? {
        let address = place.text("Address")?.into();
        // The bound is that of the type.
        let port = u16::try_from(place.count("Port", PORT_MAX)?.unwrap_or(0)).unwrap_or_default();
        place.finish()?;
        tagged.insert(tag, TaggedAddress { address, port });
    }
    Ok(tagged)
}

fn refuse_mesh(fields: &mut Fields) -> Result<(), Refused> {
    let kind = fields.text("Kind")?;
    if !matches!(kind.as_str(), "" | "typical") {
        return Err(no_mesh(&format!("Kind {kind:?}")));
    }
    for name in ["Proxy", "Locality"] {
        if fields.is_said(name) {
            return Err(no_mesh(name));
        }
    }
    if fields.is_said("Ports") {
        let why =
            "Ports is not supported: an instance has one Port; register each port as an instance of its own";
        return Err(Refused::bad(why));
    }
    if let Some(mut connect) = fields.object("Connect")?
        && (connect.flag("Native")? || !connect.is_empty())
    {
        return Err(no_mesh("Connect"));
    }
    if !fields.text("SocketPath")?.is_empty() {
        return Err(Refused::bad("SocketPath is not supported: instances are reached by address and port"));
    }
    Ok(())
}

fn no_mesh(what: &str) -> Refused {
    Refused::bad(format!(
        "{what} is not supported: Forebay is no service mesh; register the service without it"
    ))
}
