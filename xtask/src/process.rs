//! Starts other programs and names them in the error when they do not do what was asked.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::stop::Stop;

/// The cargo that started us, or the one on the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// Runs to the end with our own standard streams.
pub(crate) fn run(command: &mut Command) -> Result<(), Stop> {
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(Stop::failed(format!("`{}` failed: {status}", line(command)))) }
}

/// Runs to the end and gives back standard output; standard error stays ours.
pub(crate) fn read(command: &mut Command) -> Result<String, Stop> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| cannot_start(command, &error))?;
    if !output.status.success() {
        return Err(Stop::failed(format!("`{}` failed: {}", line(command), output.status)));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Stop::failed(format!("`{}` wrote something that is not UTF-8", line(command))))
}

/// Standard output if the command succeeds; for questions where "no" is an answer.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program of this name is on the path, or in the places of system programs.
pub(crate) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| is_program(&directory.join(name)))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

pub(crate) fn cannot_start(command: &Command, error: &std::io::Error) -> Stop {
    Stop::failed(format!("cannot start `{}`: {error}", line(command)))
}

/// The command as one would type it, which is without the program's directory.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
