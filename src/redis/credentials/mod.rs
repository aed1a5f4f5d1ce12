//! The user and the password of a connection as they are now; they may change.
//!
//! All links of a configured connection share them: one task looks after the password, and each link takes a
//! new one when it next speaks. The last known password stays in use until there is another.

mod certificates;
mod password_command;

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::Notify,
    time::{sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    config::{Connection, Endpoint, Password, RedisTls, Sentinels},
    limits,
    sampling::Fault,
    secret::Secret,
    telemetry::{CredentialEvent, CredentialMetrics, RedisCertificate},
    time::{self, Instant},
    tls::Ending,
};

use certificates::{CertificateNews, Certificates};

/// What is known of one configured connection's credentials. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Credentials(Arc<CredentialsState>);

struct CredentialsState {
    connection: String,
    username: Option<String>,
    password: Password,
    certificates: Option<Certificates>,
    known: Mutex<KnownPassword>,
    refusals: Notify,
    /// A password was read, or could not be.
    refreshed: Notify,
    metrics: CredentialMetrics,
    /// Who we are to the sentinels that name the server, where there are any.
    to_sentinels: Option<Credentials>,
}

/// The last password that was known.
#[derive(Default)]
struct KnownPassword {
    secret: Option<Secret>,
    /// Counts the passwords; zero is before the first.
    version: u64,
    /// Why there is no newer one, as it was told.
    trouble: Option<String>,
}

/// What to say to Redis.
#[derive(Debug, Clone)]
pub(super) struct Authentication {
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) version: u64,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.0.connection).finish()
    }
}

impl Credentials {
    /// Nothing is read or run yet.
    #[must_use]
    pub fn new(connection: &Connection, metrics: CredentialMetrics) -> Self {
        let Connection { name, username, password, tls, .. } = connection;
        let to_sentinels = match &connection.endpoint {
            Endpoint::Sentinel(sentinels) => {
                Some(Self::of_sentinels(name, sentinels, metrics.clone()))
            }
            Endpoint::Standalone(_) | Endpoint::Cluster(_) => None,
        };
        let (username, password, tls) = (username.clone(), password.clone(), tls.clone());
        Self::of(name.clone(), metrics, username, password, tls, to_sentinels)
    }

    fn of(
        connection: String,
        metrics: CredentialMetrics,
        username: Option<String>,
        password: Password,
        tls: Option<RedisTls>,
        to_sentinels: Option<Self>,
    ) -> Self {
        Self(Arc::new(CredentialsState {
            connection,
            username,
            password,
            certificates: tls.map(Certificates::new),
            known: Mutex::default(),
            refusals: Notify::new(),
            refreshed: Notify::new(),
            metrics,
            to_sentinels,
        }))
    }

    /// The name of the connection.
    pub(super) fn connection(&self) -> &str {
        &self.0.connection
    }

    /// Nothing of the master's is in it.
    fn of_sentinels(connection: &str, sentinels: &Sentinels, metrics: CredentialMetrics) -> Self {
        let Sentinels { username, password, tls, .. } = sentinels;
        let (connection, metrics) = (format!("{connection} (sentinels)"), metrics.to_sentinels());
        Self::of(connection, metrics, username.clone(), password.clone(), tls.clone(), None)
    }

    /// Who we are to these sentinels. It is refreshed after with this one, if this one is of the same
    /// connection.
    pub(super) fn to_sentinels(&self, sentinels: &Sentinels) -> Self {
        let metrics = self.0.metrics.clone();
        let of = || Self::of_sentinels(&self.0.connection, sentinels, metrics);
        self.0.to_sentinels.clone().unwrap_or_else(of)
    }

    /// Reads the file or runs the command. With a command this has to come before the first
    /// connection where no task [runs](Self::run) them.
    ///
    /// # Errors
    /// [`Fault::Credentials`] when there is no password; the last one that was known stays in use.
    pub async fn renew(&self) -> Result<(), Fault> {
        if let Some(to_sentinels) = &self.0.to_sentinels {
            to_sentinels.renew_own().await?;
        }
        self.renew_own().await
    }

    async fn renew_own(&self) -> Result<(), Fault> {
        let read = match &self.0.password {
            Password::Command(command) => {
                let secret = password_command::run(command).await;
                secret.map(Some).map_err(|error| error.to_string())
            }
            password @ (Password::None | Password::Fixed(_) | Password::File(_)) => {
                password.read().map_err(|error| error.to_string())
            }
        };
        let noted = self.note(read).map_err(Fault::Credentials);
        self.0.refreshed.notify_waiters();
        noted
    }

    /// Looks after the password until `stop` is cancelled: renews it in time, and at once when
    /// Redis refused it, with growing pauses while it does not get better.
    pub async fn run(self, stop: CancellationToken) {
        let sentinels = async {
            if let Some(to_sentinels) = &self.0.to_sentinels {
                to_sentinels.run_own().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            ((), ()) = async { tokio::join!(self.run_own(), sentinels) } => {}
        }
    }

    async fn run_own(&self) {
        let certificates = async {
            while self.certificates().is_some() {
                sleep(limits::CREDENTIAL_POLL).await;
            }
        };
        let password = async {
            let (mut failures, mut refused) = (0, 0);
            let pause = |failures| limits::PASSWORD_PAUSES.spread_after(failures);
            loop {
                let started = Instant::now();
                failures = if self.renew_own().await.is_ok() { 0 } else { failures + 1 };
                let usual = match &self.0.password {
                    Password::None | Password::Fixed(_) => return std::future::pending().await,
                    Password::File(_) => limits::CREDENTIAL_POLL,
                    Password::Command(command) => command.refresh,
                };
                let next = if failures == 0 { usual } else { pause(failures).min(usual) };
                tokio::select! {
                    () = sleep_until(started + next) => refused = 0,
                    () = self.0.refusals.notified() => {
                        // The first doubt is refreshed into at once, since the password may have
                        // been rotated this moment.
                        let calm = if refused == 0 { Duration::ZERO } else { pause(refused) };
                        sleep(calm.min(usual)).await;
                        refused += 1;
                    }
                }
            }
        };
        tokio::join!(certificates, password);
    }

    /// The certificates, after a look at their files; `None` where TLS is not spoken.
    pub(super) fn certificates(&self) -> Option<&Certificates> {
        let certificates = self.0.certificates.as_ref()?;
        match certificates.look() {
            CertificateNews::None => {}
            CertificateNews::Renewed => {
                self.0.metrics.count(CredentialEvent::CertificatesRenewed);
                info!(
                    connection = self.0.connection,
                    "the certificates changed; new connections use them"
                );
            }
            CertificateNews::Unusable(reason) => {
                self.0.metrics.count(CredentialEvent::CertificatesUnusable);
                let is_kept = certificates.is_usable();
                warn!(
                    connection = self.0.connection,
                    reason, is_kept, "the certificates cannot be used"
                );
            }
        }
        self.note_ends(certificates);
        Some(certificates)
    }

    fn note_ends(&self, certificates: &Certificates) {
        let (own, authorities) = certificates.ends();
        let metrics = &self.0.metrics;
        own.into_iter().for_each(|at| metrics.not_after(RedisCertificate::Own, at));
        authorities.into_iter().for_each(|at| metrics.not_after(RedisCertificate::Ca, at));
        let (connection, not_after) = (&self.0.connection, own.map(|own| own.as_secs()));
        match certificates.ending(time::wall_now()) {
            Some(Ending::Soon) => {
                warn!(
                    connection,
                    not_after, "the certificate that we show to Redis ends within seven days"
                );
            }
            Some(Ending::Over) => {
                warn!(connection, not_after, "the certificate that we show to Redis has ended");
            }
            None => {}
        }
    }

    /// What to say at connecting. The first token of a command is waited for, but not so long that
    /// nobody learns what is missing.
    pub(super) async fn current(&self) -> Result<Authentication, Fault> {
        let refreshed = self.0.refreshed.notified();
        if matches!(self.0.password, Password::Command(_)) && self.is_unknown() {
            // Without one in time there is a reason below.
            timeout(limits::CONNECT_DEADLINE / 2, refreshed).await.unwrap_or_default();
        }
        self.known_now()
    }

    fn is_unknown(&self) -> bool {
        let known = self.known_password();
        known.secret.is_none() && known.trouble.is_none()
    }

    fn known_now(&self) -> Result<Authentication, Fault> {
        let read = self.0.password.read().map_err(|error| error.to_string());
        let is_command = matches!(self.0.password, Password::Command(_));
        let unread = if is_command { read.err() } else { self.note(read).err() };
        let known = self.known_password();
        match unread.filter(|_| known.secret.is_none()) {
            Some(reason) => Err(Fault::Credentials(known.trouble.clone().unwrap_or(reason))),
            None => Ok(self.credentials(&known)),
        }
    }

    /// What to say on a link that is up, if it is not what was said there.
    pub(super) fn newer_than(&self, version: u64) -> Option<Authentication> {
        let known = self.known_password();
        (known.version > version && known.secret.is_some()).then(|| self.credentials(&known))
    }

    /// Redis refused these credentials: they may have been rotated or have expired.
    pub(super) fn report_refused(&self) {
        self.0.metrics.count(CredentialEvent::Refused);
        self.0.refusals.notify_one();
    }

    /// A link that was up has taken a new password.
    pub(super) fn reauthenticated(&self) {
        self.0.metrics.count(CredentialEvent::Reauthenticated);
        info!(connection = self.0.connection, "authenticated again with the new password");
    }

    /// Redis did not take a new password on a link that is up. Only the first time is logged.
    pub(super) fn refused(&self, reason: &str, first: bool) {
        self.report_refused();
        if first {
            warn!(
                connection = self.0.connection,
                reason,
                "Redis refuses the new password; the link stays as it is, and it is tried again"
            );
        }
    }

    fn credentials(&self, known: &KnownPassword) -> Authentication {
        Authentication {
            username: self.0.username.clone(),
            password: known.secret.clone(),
            version: known.version,
        }
    }

    fn note(&self, read: Result<Option<Secret>, String>) -> Result<(), String> {
        let mut known = self.known_password();
        let secret = match read {
            Ok(secret) => secret,
            Err(reason) => {
                self.0.metrics.count(CredentialEvent::Unreadable);
                let is_kept = known.secret.is_some();
                if known.trouble.replace(reason.clone()).as_ref() != Some(&reason) {
                    warn!(
                        connection = self.0.connection,
                        reason, is_kept, "the password cannot be renewed"
                    );
                }
                return Err(reason);
            }
        };
        known.trouble = None;
        if known.version > 0 && known.secret == secret {
            return Ok(());
        }
        known.secret = secret;
        known.version += 1;
        if self.0.password.may_change() {
            self.0.metrics.count(CredentialEvent::Renewed);
            let number = known.version;
            info!(connection = self.0.connection, number, "another password is in use");
        }
        Ok(())
    }

    fn known_password(&self) -> MutexGuard<'_, KnownPassword> {
        self.0.known.lock()
    }
}
