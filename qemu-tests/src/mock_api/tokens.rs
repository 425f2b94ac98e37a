//! Bootstrap tokens and the one ServiceAccount token (`plugin/pkg/auth/authenticator/token/bootstrap`): expiry and deletion
//! are checked at each request, by the server's clock.

use std::collections::BTreeMap;

use super::users::{BOOTSTRAPPERS, KKP_GETTER, KUBEADM_TOKENS, User};

/// What the Secret `bootstrap-token-ID` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Public part.
    pub id: String,
    /// Secret part.
    pub secret: String,
    /// When it ends, seconds since 1970; never if none.
    pub expires: Option<u64>,
    /// Whether `cluster-info` bears a signature with it.
    pub signing: bool,
    /// Groups besides `system:bootstrappers`.
    pub groups: Vec<String>,
}

impl Token {
    /// A token as `kubeadm token create` makes them.
    pub fn new(id: &str, secret: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            expires: None,
            signing: true,
            groups: vec![KUBEADM_TOKENS.to_owned()],
        }
    }

    /// A token as KKP's operating system manager makes them: may not read nodes.
    pub fn of_kkp(id: &str, secret: &str) -> Self {
        Self {
            groups: vec!["system:bootstrappers:machine-controller:default-node-token".to_owned()],
            ..Self::new(id, secret)
        }
    }

    /// The same, ending at `unix`.
    pub fn expiring(mut self, unix: u64) -> Self {
        self.expires = Some(unix);
        self
    }

    /// The same, not used for signing `cluster-info`.
    pub fn without_signing(mut self) -> Self {
        self.signing = false;
        self
    }

    /// `id.secret`.
    pub fn text(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }

    /// The server compares seconds: at the second of expiry it is over.
    fn is_valid(&self, unix: u64) -> bool {
        self.expires.is_none_or(|end| unix < end)
    }
}

/// The tokens of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    bootstrap: BTreeMap<String, Token>,
    service_account: Option<String>,
}

impl Tokens {
    /// Adds a token or puts it in the place of the one with its id.
    pub fn add(&mut self, token: Token) {
        self.bootstrap.insert(token.id.clone(), token);
    }

    /// Deletes a token; the signer then removes its signature.
    pub fn delete(&mut self, id: &str) {
        self.bootstrap.remove(id);
    }

    /// Lets a token end at `unix`.
    pub fn expire(&mut self, id: &str, unix: u64) {
        if let Some(token) = self.bootstrap.get_mut(id) {
            token.expires = Some(unix);
        }
    }

    /// The token of the ServiceAccount that KKP's edge script uses.
    pub fn set_service_account(&mut self, token: &str) {
        self.service_account = Some(token.to_owned());
    }

    /// The tokens with which `cluster-info` is signed at `unix`.
    pub fn signing(&self, unix: u64) -> impl Iterator<Item = &Token> {
        let valid = self.bootstrap.values().filter(move |token| token.is_valid(unix));
        valid.filter(|token| token.signing)
    }

    /// Whose `bearer` is; none if nobody's.
    pub fn user(&self, bearer: &str, unix: u64) -> Option<User> {
        if self.service_account.as_deref() == Some(bearer) {
            let groups = ["system:serviceaccounts", "system:serviceaccounts:cloud-init-settings"];
            return Some(User::authenticated(KKP_GETTER, groups.into_iter()));
        }
        let (id, _) = bearer.split_once('.')?;
        let token = self.bootstrap.get(id).filter(|token| token.text() == bearer)?;
        let groups = token.groups.iter().map(String::as_str);
        let user = User::authenticated(
            &format!("system:bootstrap:{id}"),
            [BOOTSTRAPPERS].into_iter().chain(groups),
        );
        token.is_valid(unix).then_some(user)
    }

    /// The secrets of all tokens, for the log's search.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let secrets = self.bootstrap.values().map(|token| token.secret.as_str());
        secrets.chain(self.service_account.as_deref())
    }
}
