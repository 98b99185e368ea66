//! Maps of the object, by name.

use aya::{
    Ebpf, Pod,
    maps::{Array, Map, MapError},
};

use super::{mapped::Mapped, refusal::broken};
use crate::source::feed::{Reason, Unavailable};

/// Writes the one entry of a map.
pub(super) fn set<T: Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    value: T,
) -> Result<(), Unavailable> {
    let map = ebpf.map_mut(name).ok_or_else(|| missing(name))?;
    Array::<_, T>::try_from(map)
        .and_then(|mut array| array.set(0, value, 0))
        .map_err(|error| broken(&error))
}

pub(super) fn take<T>(
    ebpf: &mut Ebpf,
    name: &'static str,
    convert: impl FnOnce(Map) -> Result<T, MapError>,
) -> Result<T, Unavailable> {
    convert(ebpf.take_map(name).ok_or_else(|| missing(name))?).map_err(|error| broken(&error))
}

pub(super) fn mapped<T>(
    ebpf: &Ebpf,
    name: &'static str,
    entries: usize,
) -> Result<Mapped, Unavailable> {
    let Some(Map::Array(data)) = ebpf.map(name) else {
        return Err(missing(name));
    };
    Mapped::new(data.fd(), entries * size_of::<T>() / size_of::<u64>())
        .map_err(|error| broken(&error))
}

pub(super) fn missing(name: &str) -> Unavailable {
    Unavailable::with_detail(Reason::IncompleteObject, &format!("{name} is missing"))
}
