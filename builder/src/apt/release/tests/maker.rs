//! Makes certificates and signatures, good and bad, at fixed times.

use pgp::composed::{
    ArmorOptions, KeyType, SecretKeyParamsBuilder, SignedKeyDetails, SignedPublicKey, SignedPublicSubKey,
    SignedSecretKey, SubkeyParamsBuilder,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{Duration, KeyDetails, Password, SigningKey, Tag, Timestamp};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::super::keys::{Fingerprint, SigningKeys};

/// When keys and their self-signatures are made, unless told otherwise.
pub const MADE: u32 = 1_700_000_000;
/// When indexes are signed.
pub const SIGNED: u32 = 1_760_000_000;

/// What a key's owner does differently from the usual.
#[derive(Debug, Clone)]
pub struct Habits {
    pub made: u32,
    pub lifetime_secs: u32,
    pub subkey_lifetime_secs: u32,
    pub digest: HashAlgorithm,
    pub revokes: Option<SignatureType>,
    pub primary_may_sign: bool,
    pub back_signature: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            made: MADE,
            lifetime_secs: 0,
            subkey_lifetime_secs: 0,
            digest: HashAlgorithm::Sha512,
            revokes: None,
            primary_may_sign: true,
            back_signature: true,
        }
    }
}

/// A key pair with one signing subkey, and the certificate its owner publishes.
#[derive(Debug)]
pub struct Maker {
    secret: SignedSecretKey,
    pub certificate: SignedPublicKey,
}

fn subpackets(made: u32, more: Vec<SubpacketData>) -> Vec<Subpacket> {
    let time = SubpacketData::SignatureCreationTime(Timestamp::from_secs(made));
    [time]
        .into_iter()
        .chain(more)
        .map(|data| Subpacket::regular(data).unwrap())
        .collect()
}

fn config(key: &impl KeyDetails, typ: SignatureType, habits: &Habits, more: Vec<SubpacketData>) -> SignatureConfig {
    let mut config = SignatureConfig::v4(typ, key.algorithm(), habits.digest);
    config.hashed_subpackets = subpackets(habits.made, more);
    config
}

fn lifetime_and_flags(lifetime_secs: u32, may_sign: bool) -> Vec<SubpacketData> {
    let mut flags = KeyFlags::default();
    flags.set_certify(!may_sign);
    flags.set_sign(may_sign);
    vec![
        SubpacketData::KeyExpirationTime(Duration::from_secs(lifetime_secs)),
        SubpacketData::KeyFlags(flags),
    ]
}

impl Maker {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, KeyType::Ed25519Legacy, &Habits::default())
    }

    pub fn with(seed: u64, key_type: KeyType, habits: &Habits) -> Self {
        let made = Timestamp::from_secs(habits.made);
        let subkey = SubkeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .created_at(made)
            .can_sign(true)
            .build()
            .unwrap();
        let params = SecretKeyParamsBuilder::default()
            .key_type(key_type)
            .created_at(made)
            .can_sign(true)
            .can_certify(true)
            .primary_user_id("Archive <archive@example.org>".to_owned())
            .subkeys(vec![subkey])
            .build()
            .unwrap();
        let secret = params.generate(ChaCha8Rng::seed_from_u64(seed)).unwrap();
        let certificate = certify(&secret, habits);
        Self { secret, certificate }
    }

    pub fn certify_again(&mut self, habits: &Habits) {
        self.certificate = certify(&self.secret, habits);
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate.primary_key)
    }

    pub fn armored(&self) -> String {
        self.certificate.to_armored_string(ArmorOptions::default()).unwrap()
    }

    pub fn keys(&self) -> SigningKeys {
        SigningKeys::from_armored("keys.asc", &self.armored(), &[self.fingerprint()]).unwrap()
    }

    pub fn by_primary(&self, text: &str, digest: HashAlgorithm) -> Signature {
        sign(&self.secret.primary_key, text, digest, Vec::new())
    }

    pub fn by_subkey(&self, text: &str, digest: HashAlgorithm) -> Signature {
        sign(&self.secret.secret_subkeys[0].key, text, digest, Vec::new())
    }

    pub fn by_subkey_with(&self, text: &str, more: Vec<Subpacket>) -> Signature {
        sign(&self.secret.secret_subkeys[0].key, text, HashAlgorithm::Sha256, more)
    }
}

fn certify(secret: &SignedSecretKey, habits: &Habits) -> SignedPublicKey {
    let none = Password::empty();
    let (public, signer) = (secret.to_public_key(), &secret.primary_key);
    let (primary, subkey) = (&public.primary_key, &public.public_subkeys[0].key);
    let mut user = public.details.users[0].clone();
    let about_primary = lifetime_and_flags(habits.lifetime_secs, habits.primary_may_sign);
    let self_signature = config(primary, SignatureType::CertPositive, habits, about_primary);
    user.signatures = vec![
        self_signature
            .sign_certification(signer, primary, &none, Tag::UserId, &user.id)
            .unwrap(),
    ];
    let mut about_subkey = lifetime_and_flags(habits.subkey_lifetime_secs, true);
    if habits.back_signature {
        let back = config(subkey, SignatureType::KeyBinding, habits, Vec::new());
        let subkey_signer = &secret.secret_subkeys[0].key;
        let back = back
            .sign_primary_key_binding(subkey_signer, subkey, &none, primary)
            .unwrap();
        about_subkey.push(SubpacketData::EmbeddedSignature(Box::new(back)));
    }
    let binding = config(primary, SignatureType::SubkeyBinding, habits, about_subkey);
    let mut bindings = vec![binding.sign_subkey_binding(signer, primary, &none, subkey).unwrap()];
    let mut revocations = Vec::new();
    match habits.revokes {
        Some(SignatureType::KeyRevocation) => {
            let revocation = config(primary, SignatureType::KeyRevocation, habits, Vec::new());
            revocations.push(revocation.sign_key(signer, &none, primary).unwrap());
        }
        Some(typ) => {
            let revocation = config(primary, typ, habits, Vec::new());
            bindings.push(revocation.sign_subkey_binding(signer, primary, &none, subkey).unwrap());
        }
        None => {}
    }
    let subkeys = vec![SignedPublicSubKey::new(subkey.clone(), bindings)];
    SignedPublicKey::new(
        primary.clone(),
        SignedKeyDetails::new(revocations, Vec::new(), vec![user], Vec::new()),
        subkeys,
    )
}

fn sign(key: &impl SigningKey, text: &str, digest: HashAlgorithm, more: Vec<Subpacket>) -> Signature {
    let mut config = SignatureConfig::v4(SignatureType::Text, key.algorithm(), digest);
    config.hashed_subpackets = subpackets(SIGNED, vec![SubpacketData::IssuerFingerprint(key.fingerprint())]);
    config.hashed_subpackets.extend(more);
    config
        .sign(key, &Password::empty(), text.trim_end_matches('\n').as_bytes())
        .unwrap()
}

/// A cleartext-signed message of `text`, which must not need escaping.
pub fn message(text: &str, signatures: &[Signature]) -> String {
    struct Block<'a>(&'a [Signature]);
    impl Serialize for Block<'_> {
        fn to_writer<W: std::io::Write>(&self, writer: &mut W) -> pgp::errors::Result<()> {
            use pgp::packet::PacketTrait;
            self.0
                .iter()
                .try_for_each(|signature| signature.to_writer_with_header(writer))
        }

        fn write_len(&self) -> usize {
            use pgp::packet::PacketTrait;
            self.0.iter().map(PacketTrait::write_len_with_header).sum()
        }
    }
    let mut armor = Vec::new();
    pgp::armor::write(
        &Block(signatures),
        pgp::armor::BlockType::Signature,
        &mut armor,
        None,
        true,
    )
    .unwrap();
    let armor = String::from_utf8(armor).unwrap();
    format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{text}{armor}")
}
