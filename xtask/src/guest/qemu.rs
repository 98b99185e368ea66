//! Runs a kernel in QEMU.
//!
//! Two serial ports: `ttyS0` is the console, `ttyS1` carries the lab's data and nothing else.
//! There is no network device: what a test needs, it makes inside the guest.

use std::{
    env, fs,
    io::{self, Read as _},
    os::unix::{
        net::{UnixListener, UnixStream},
        process::CommandExt as _,
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{arch::ARCH, debian::kernel::Kernel, exec::progress, guest::silence::Silence, paths};

/// A guest's memory: an initramfs of Debian's size is unpacked into it.
const GUEST_MEMORY: &str = "2G";

/// What a guest may come to take of the host's memory, QEMU included.
pub(crate) const GUEST_KIB: usize = 2560 * 1024;

/// A running virtual machine; it is gone when this value, or this process, is.
pub(crate) struct Vm {
    child: Child,
    pub(crate) console: UnixStream,
    pub(crate) data: UnixStream,
    _dir: TempDir,
}

/// What to boot.
pub(crate) struct Boot<'a> {
    pub(crate) image: &'a Path,
    pub(crate) initrd: Option<&'a Path>,
    /// A raw disk, `/dev/vda` in the guest.
    pub(crate) disk: Option<&'a Path>,
    pub(crate) accel: Accel,
}

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accel {
    Kvm,
    Tcg,
}

/// No reboot after a panic: QEMU ends, and the console's tail tells why. Mitigations cost much
/// under emulation and protect nothing here.
const APPEND: &str =
    "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off random.trust_cpu=on";

impl Vm {
    pub(crate) fn boot(boot: &Boot<'_>) -> Result<Self> {
        let dir = TempDir::with_prefix("ipvs-sampler-vm-")?;
        let console = listen(&dir.path().join("console"))?;
        let data = listen(&dir.path().join("data"))?;
        let stderr = dir.path().join("stderr");
        let mut command = Command::new(ARCH.qemu);
        command
            .args([
                "-nodefaults",
                "-no-user-config",
                "-no-reboot",
                "-display",
                "none",
            ])
            .args([
                "-m",
                GUEST_MEMORY,
                "-smp",
                "2",
                "-cpu",
                "max",
                "-nic",
                "none",
            ])
            .args(match boot.accel {
                Accel::Kvm => ["-accel", "kvm"],
                // One thread for both CPUs: with one each, a CPU may keep running a breakpoint that
                // the kernel has patched away again (jump labels, static calls, kprobes), and panics
                // with "Oops: int3". Seen in about one boot of a hundred with QEMU 7.2; and the tests
                // take no longer.
                Accel::Tcg => ["-accel", "tcg,thread=single"],
            })
            .arg("-kernel")
            .arg(boot.image)
            .args(["-append", APPEND]);
        if let Some(initrd) = boot.initrd {
            command.arg("-initrd").arg(initrd);
        }
        for port in ["console", "data"] {
            let path = dir.path().join(port);
            command.args([
                "-chardev",
                &format!("socket,id={port},path={}", path.display()),
            ]);
            command.args(["-serial", &format!("chardev:{port}")]);
        }
        if let Some(disk) = boot.disk {
            let disk = format!("file={},format=raw,if=virtio,cache=unsafe", disk.display());
            command.args(["-drive", &disk]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&stderr)?);
        // The terminal's Ctrl-C is for us alone: the guest gets the chance to end first.
        command.process_group(0);
        // SAFETY: between fork and exec only a system call is made.
        unsafe {
            command.pre_exec(|| {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
                Ok(())
            });
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}: run `cargo xtask setup`", ARCH.qemu))?;
        let connected =
            accept(&console, &mut child).and_then(|c| Ok((c, accept(&data, &mut child)?)));
        match connected {
            Ok((console, data)) => Ok(Self {
                child,
                console,
                data,
                _dir: dir,
            }),
            Err(error) => {
                stop(&mut child);
                let words = fs::read_to_string(&stderr).unwrap_or_default();
                bail!("QEMU did not start: {error}: {}", words.trim())
            }
        }
    }
}

impl Vm {
    /// The number of QEMU's process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// Kills and reaps; a process that has ended already is what is wanted.
fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn listen(path: &Path) -> Result<UnixListener> {
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn accept(listener: &UnixListener, child: &mut Child) -> io::Result<UnixStream> {
    let silence = Silence::at_most(child.id(), Duration::from_secs(20));
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) => {}
        }
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(format!("it ended ({status})")));
        }
        if let Some(reason) = silence.too_long() {
            return Err(io::Error::other(reason));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

impl Accel {
    /// KVM if it really boots a kernel here. `/dev/kvm` may exist and open and still hang at the
    /// guest's first instruction, so one kernel is booted, once per boot of this machine.
    /// `IPVS_SAMPLER_ACCEL` overrides.
    pub(crate) fn choose(kernel: &Kernel) -> Result<Self> {
        match env::var("IPVS_SAMPLER_ACCEL").as_deref() {
            Ok("kvm") => return Ok(Self::Kvm),
            Ok("tcg") => return Ok(Self::Tcg),
            Ok("") | Err(_) => {}
            Ok(other) => bail!("IPVS_SAMPLER_ACCEL is `{other}`; it may be kvm or tcg"),
        }
        if fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_err()
        {
            return Ok(Self::Tcg);
        }
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let file = paths::cache()?.join("accel");
        let known = fs::read_to_string(&file).unwrap_or_default();
        if let Some(verdict) = known.strip_prefix(&boot_id)
            && !boot_id.is_empty()
        {
            return Ok(if verdict == "kvm" {
                Self::Kvm
            } else {
                Self::Tcg
            });
        }
        let verdict = if kvm_boots(kernel) {
            Self::Kvm
        } else {
            Self::Tcg
        };
        progress(format!("the guest runs on {verdict:?} on this machine").to_lowercase());
        let name = if verdict == Self::Kvm { "kvm" } else { "tcg" };
        fs::write(file, format!("{boot_id}{name}"))?;
        Ok(verdict)
    }
}

/// Boots the kernel without a root: it panics, and QEMU ends, if KVM works.
fn kvm_boots(kernel: &Kernel) -> bool {
    const DEADLINE: Duration = Duration::from_secs(10);
    let boot = Boot {
        image: &kernel.image(),
        initrd: None,
        disk: None,
        accel: Accel::Kvm,
    };
    let Ok(mut vm) = Vm::boot(&boot) else {
        return false;
    };
    let silence = Silence::at_most(vm.process(), DEADLINE);
    let _ = vm
        .console
        .set_read_timeout(Some(Duration::from_millis(100)));
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while silence.too_long().is_none() {
        match vm.console.read(&mut buffer) {
            Ok(length @ 1..) => seen.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    String::from_utf8_lossy(&seen).contains("Kernel panic")
}
