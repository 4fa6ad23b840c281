//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

/// The machine and the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) memory_gib: u64,
    pub(super) kernel: String,
    /// Of the directory where everything is stored.
    pub(super) file_system: String,
    /// Of one minute, before the bench began: what others took from it.
    pub(super) load_average: String,
}

impl Machine {
    /// Reads `/proc`; what cannot be read is `unknown`.
    pub(super) fn read(dir: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let memory_kib: u64 =
            number(&field(&text("/proc/meminfo"), "MemTotal").unwrap_or_default()).unwrap_or(0);
        let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        Self {
            cpu: field(&text("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_gib: (memory_kib + (1 << 19)) >> 20,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: match mount(&text("/proc/mounts"), &dir) {
                Some((device, kind)) if lacks_journal(device, kind) => format!("{kind} without journal"),
                Some((_, kind)) => kind.to_owned(),
                None => unknown(),
            },
            load_average: text("/proc/loadavg").split(' ').next().map_or_else(unknown, str::to_owned),
        }
    }

    /// Says whether flushes reach no disk at all.
    pub(super) fn stores_in_memory(&self) -> bool {
        matches!(self.file_system.as_str(), "tmpfs" | "ramfs")
    }

    /// Gives the machine in one line.
    pub(super) fn line(&self) -> String {
        let Self { cpu, cores, memory_gib, kernel, file_system, load_average } = self;
        format!(
            "{cpu}, {cores} cores, {memory_gib} GiB, Linux {kernel}, {file_system}, load {load_average} before"
        )
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// Gives the value of a `name: value` line.
pub(super) fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}

/// Gives the number at the start of `9216 kB`.
pub(super) fn number(value: &str) -> Option<u64> {
    value.split_whitespace().next()?.parse().ok()
}

/// Reads how long a process used a processor, in all its threads.
pub(super) fn processor_time(pid: &str) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process has ended")?;
    ticks(&stat).map(|ticks| Duration::from_millis(ticks * 10)).context("expected times in its status")
}

/// Adds up user and system time of a `stat` line, in hundredths of a second, which Linux counts in.
fn ticks(stat: &str) -> Option<u64> {
    // The name of the program stands in parentheses and may have spaces.
    let mut words = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let user: u64 = words.next()?.parse().ok()?;
    let system: u64 = words.next()?.parse().ok()?;
    Some(user + system)
}

/// Finds device and type of the longest mount point that holds `dir`.
fn mount<'a>(mounts: &'a str, dir: &Path) -> Option<(&'a str, &'a str)> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (device, point, kind) = (words.next()?, words.next()?, words.next()?);
            dir.starts_with(point).then_some((point.len(), device, kind))
        })
        .max_by_key(|(length, ..)| *length)
        .map(|(_, device, kind)| (device, kind))
}

/// Says whether ext4 has no journal, which changes what a flush costs: its options then have no mode of it.
fn lacks_journal(device: &str, kind: &str) -> bool {
    let name = device.rsplit('/').next().unwrap_or(device);
    let options = fs::read_to_string(format!("/proc/fs/ext4/{name}/options")).unwrap_or_default();
    kind == "ext4" && !options.is_empty() && !options.lines().any(|line| line.starts_with("data="))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{field, mount, number, ticks};

    #[test]
    fn fields_of_proc_are_read() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2: fast\nVmHWM:\t  9216 kB\n";
        assert_eq!(field(text, "model name").as_deref(), Some("A CPU @ 2: fast"));
        assert_eq!(field(text, "VmHWM").and_then(|value| number(&value)), Some(9216));
        assert_eq!(field(text, "VmRSS"), None);
    }

    #[test]
    fn processor_time_is_read_after_any_name() {
        let stat = "12 (a) b) S 1 12 12 0 -1 4194560 100 0 0 0 250 30 0 0 20 0 1 0 100";
        assert_eq!(ticks(stat), Some(280));
        assert_eq!(ticks("12 (a"), None);
    }

    #[test]
    fn longest_mount_point_decides() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0\n";
        for (dir, device, kind) in
            [("/srv/x", "/dev/a", "ext4"), ("/tmp/y", "tmpfs", "tmpfs"), ("/tmp/disk/z", "/dev/b", "xfs")]
        {
            assert_eq!(mount(mounts, Path::new(dir)), Some((device, kind)));
        }
    }
}
