//! Fresh SSH host keys, of the kinds that the host has.

use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, EcdsaCurve, LineEnding, PrivateKey};

/// A fresh key pair in OpenSSH's own formats.
#[derive(Clone)]
pub(crate) struct HostKey {
    /// The private half's file.
    pub(crate) private: Vec<u8>,
    /// The public half's file.
    pub(crate) public: Vec<u8>,
}

/// Why a key can't be made.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// The host's public key file is of no kind that is known.
    #[error("{0:?} is no kind of SSH host key that can be made")]
    Kind(String),
    /// The key could not be made or written.
    #[error("can't make an SSH host key")]
    Make(#[from] ssh_key::Error),
}

/// Makes a key pair of the same kind as a public key file, with this comment.
pub(crate) fn like(public: &[u8], comment: &str) -> Result<HostKey, HostKeyError> {
    let text = String::from_utf8_lossy(public);
    let kind = text.split_whitespace().next().unwrap_or_default();
    let algorithm = match kind {
        "ssh-ed25519" => Algorithm::Ed25519,
        "ecdsa-sha2-nistp256" => ecdsa(EcdsaCurve::NistP256),
        "ecdsa-sha2-nistp384" => ecdsa(EcdsaCurve::NistP384),
        "ecdsa-sha2-nistp521" => ecdsa(EcdsaCurve::NistP521),
        "ssh-rsa" => Algorithm::Rsa { hash: None },
        other => return Err(HostKeyError::Kind(other.to_owned())),
    };
    // an RSA key has 3072 bits, as ssh-keygen(1) makes them
    let mut key = match algorithm {
        Algorithm::Rsa { .. } => {
            PrivateKey::from(ssh_key::private::RsaKeypair::random(&mut OsRng, 3072)?)
        }
        algorithm => PrivateKey::random(&mut OsRng, algorithm)?,
    };
    key.set_comment(comment);
    Ok(HostKey {
        private: key.to_openssh(LineEnding::LF)?.as_bytes().to_vec(),
        public: format!("{}\n", key.public_key().to_openssh()?).into_bytes(),
    })
}

/// The kind that a host key's file name stands for, as sshd_config(5) names its defaults:
/// what a public key file of that kind begins with.
pub(crate) fn kind_of_name(name: &str) -> Option<&'static str> {
    if name.contains("ed25519") {
        Some("ssh-ed25519")
    } else if name.contains("ecdsa") {
        Some("ecdsa-sha2-nistp256")
    } else if name.contains("rsa") {
        Some("ssh-rsa")
    } else {
        None
    }
}

fn ecdsa(curve: EcdsaCurve) -> Algorithm {
    Algorithm::Ecdsa { curve }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a34_a_key_is_fresh_and_of_the_hosts_kind() {
        for kind in ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521"] {
            let host = format!("{kind} AAAA root@host\n");
            let one = like(host.as_bytes(), "root@web1").unwrap();
            let two = like(host.as_bytes(), "root@web1").unwrap();
            assert_ne!(one.private, two.private);
            let public = String::from_utf8(one.public).unwrap();
            assert!(public.starts_with(kind) && public.ends_with(" root@web1\n"));
            let read = PrivateKey::from_openssh(&one.private).unwrap();
            assert_eq!(read.public_key().to_openssh().unwrap(), public.trim_end());
        }
    }

    #[test]
    fn a_kind_that_is_unknown_is_refused() {
        assert!(matches!(
            like(b"ssh-dss AAAA", "x"),
            Err(HostKeyError::Kind(kind)) if kind == "ssh-dss"
        ));
        assert_eq!(kind_of_name("ssh_host_rsa_key"), Some("ssh-rsa"));
        assert_eq!(kind_of_name("ssh_host_key"), None);
    }
}
