//! Programs of the object, by name.

use aya::{
    Ebpf,
    programs::{KProbe, ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun as _},
};

use super::{
    map::missing,
    refusal::{self, broken},
};
use crate::source::feed::Unavailable;

pub(super) fn kprobe<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut KProbe, Unavailable> {
    ebpf.program_mut(name)
        .ok_or_else(|| missing(name))?
        .try_into()
        .map_err(|error: ProgramError| broken(&error))
}

/// Attaches a program to the first of `functions` that this kernel has.
fn attach_first(
    ebpf: &mut Ebpf,
    program: &'static str,
    functions: &[&str],
) -> Result<(), Unavailable> {
    let mut refusal = missing(program);
    for function in functions {
        match kprobe(ebpf, program)?.attach(*function, 0) {
            Ok(_) => return Ok(()),
            Err(error) => refusal = refusal::attach(function, &error),
        }
    }
    Err(refusal)
}

/// Loads a program and attaches it to the first of `functions` that this kernel has.
pub(super) fn load_and_attach(
    ebpf: &mut Ebpf,
    name: &'static str,
    functions: &[&str],
) -> Result<(), Unavailable> {
    kprobe(ebpf, name)?
        .load()
        .map_err(|error| refusal::load(&error))?;
    attach_first(ebpf, name, functions)
}

pub(super) fn tracepoint<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut RawTracePoint, Unavailable> {
    ebpf.program_mut(name)
        .ok_or_else(|| missing(name))?
        .try_into()
        .map_err(|error: ProgramError| broken(&error))
}

/// Runs a program; how far it came is in `PROGRESS`.
pub(super) fn run(program: &RawTracePoint, arguments: [u64; 3]) -> Result<(), Unavailable> {
    let mut options = RawTracePointRunOptions::new();
    options.args[..arguments.len()].copy_from_slice(&arguments);
    program
        .test_run(options)
        .map_err(|error| refusal::load(&error))?;
    Ok(())
}
