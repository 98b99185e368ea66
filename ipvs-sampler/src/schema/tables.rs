//! A table for each measurement, and what the tags of services and destinations have in common.

mod common;
mod destination;
mod output;
mod sampler;
mod service;

use super::{TagValue, words};
use crate::model::{Service, ServiceKey, VirtualAddress};

fn family(number: u16) -> TagValue<'static> {
    word_or_number(words::address_family(number), number)
}

fn word_or_number(word: Option<&'static str>, number: u16) -> TagValue<'static> {
    word.map_or(TagValue::Number(u32::from(number)), TagValue::Text)
}

fn address(service: &Service) -> TagValue<'_> {
    match &service.key.address {
        VirtualAddress::Socket { address, .. } => TagValue::Address {
            family: service.key.family,
            bytes: address,
        },
        VirtualAddress::Fwmark(_) => TagValue::Absent,
    }
}

fn port(key: &ServiceKey) -> TagValue<'static> {
    match key.address {
        VirtualAddress::Socket { port, .. } => TagValue::Number(u32::from(port)),
        VirtualAddress::Fwmark(_) => TagValue::Absent,
    }
}

fn protocol(key: &ServiceKey) -> TagValue<'static> {
    match key.address {
        VirtualAddress::Socket { protocol, .. } => {
            word_or_number(words::protocol(protocol), protocol)
        }
        VirtualAddress::Fwmark(_) => TagValue::Absent,
    }
}

fn fwmark(key: &ServiceKey) -> TagValue<'static> {
    match key.address {
        VirtualAddress::Socket { .. } => TagValue::Absent,
        VirtualAddress::Fwmark(mark) => TagValue::Number(mark),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        schema::{DestinationRow, Measurement, ServiceRow, sampler::SamplerRow},
        sink::OutputReport,
    };

    #[test]
    fn tags_and_fields_are_sorted_by_name() {
        fn check<Row>(measurement: &Measurement<'_, Row>) {
            let tags = measurement.tags.iter().map(|tag| tag.name);
            let fields = measurement.fields.iter().map(|field| field.name);
            assert!(tags.is_sorted_by(|one, next| one < next));
            assert!(fields.is_sorted_by(|one, next| one < next));
        }
        check(&ServiceRow::MEASUREMENT);
        check(&DestinationRow::MEASUREMENT);
        check(&SamplerRow::MEASUREMENT);
        check(&OutputReport::MEASUREMENT);
    }
}
