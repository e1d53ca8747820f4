//! The `[admin]` section. Refuses every address but loopback until the listener can tell who is asking.

use std::net::SocketAddr;

use forebay_config::{Check, Settings};

/// Probes, metrics, and what the process knows about itself.
#[derive(Clone, Debug, PartialEq, Eq, Settings)]
#[settings(check = AdminSettings::check)]
pub struct AdminSettings {
    /// Where the admin listener is found. Loopback only; port 0 takes any free port.
    // 9180: away from 8080, 9000 and 9090, where services, their consoles and Prometheus like to be.
    #[setting(default = "127.0.0.1:9180", restart)]
    pub listen: SocketAddr,
}

impl AdminSettings {
    fn check(&self, check: &mut Check<'_, '_>) {
        if self.listen.ip().to_canonical().is_loopback() {
            return;
        }
        let port = self.listen.port();
        check
            .error("listen", format!("`listen` is {}, which is not a loopback address", self.listen))
            .note("the admin listener shows configuration and services, and has neither TLS nor tokens yet")
            .note("a later version brings both; until then only this machine may ask")
            .help(format!("write \"127.0.0.1:{port}\""))
            .help(format!(
                "from elsewhere, use a tunnel to the same port, `ssh -L {port}:127.0.0.1:{port} HOST`, \
                 or a reverse proxy that authenticates and sends `Host: 127.0.0.1:{port}`"
            ));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use forebay_config::{Inputs, check_declarations, load};

    use super::*;

    #[derive(Debug, Settings)]
    struct Root {
        /// The admin listener.
        admin: AdminSettings,
    }

    #[track_caller]
    fn check(listen: &str, expected: Result<(), &str>) {
        let file = format!("[admin]\nlisten = \"{listen}\"\n");
        let read = |_: &Path| Ok(file.clone().into_bytes());
        let inputs = Inputs { file: Some("forebay.toml".into()), files: &read, ..Inputs::default() };
        match (load::<Root>(inputs), expected) {
            (Ok(loaded), Ok(())) => assert_eq!(loaded.value.admin.listen.to_string(), listen),
            (Err(found), Err(expected)) => assert_eq!(found.to_string(), expected),
            (loaded, _) => panic!("{loaded:?}"),
        }
    }

    #[test]
    fn only_this_machine_may_ask() {
        check("127.0.0.1:9180", Ok(()));
        check("127.8.9.10:0", Ok(()));
        check("[::1]:9180", Ok(()));
        check("[::ffff:127.0.0.1]:9180", Ok(()));
        check("0.0.0.0:9180", Err(include_str!("settings.golden").trim_end()));
    }

    #[test]
    fn without_a_word_it_listens_on_loopback() {
        assert_eq!(check_declarations::<Root>(), Vec::<String>::new());
        let loaded = load::<Root>(Inputs::default()).expect("defaults are valid");
        assert_eq!(loaded.value.admin.listen, SocketAddr::from(([127, 0, 0, 1], 9180)));
        assert!(loaded.effective_redacted().0[0].restart);
    }
}
