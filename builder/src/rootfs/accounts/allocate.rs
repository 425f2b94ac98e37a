//! Giving numbers to the accounts that sysusers.d(5) asks for, in the order in which systemd-sysusers 257 does.

use std::collections::BTreeMap;

use super::sysusers::{GroupWish, Request, UserWish, Wish};
use super::{Accounts, AccountsError, Group, Position, User};

/// Numbers that accounts without a fixed id always get. Files on the data partition outlive an update of the image; if
/// a new package shifted the automatic ids, they would change hands. Never change or reuse a row; add new ones freely
/// downwards. All lie within 900 to 999, which automatic allocation leaves alone.
pub const PINNED_IDS: &[(&str, u32)] = &[
    ("systemd-journal", 999),
    ("systemd-network", 998),
    ("systemd-resolve", 997),
    ("systemd-timesync", 996),
    ("messagebus", 995),
    ("sshd", 994),
    ("input", 993),
    ("sgx", 992),
    ("clock", 991),
    ("kvm", 990),
    ("render", 989),
    ("polkitd", 988),
    ("netdev", 987),
    ("_ssh", 986),
    ("_chrony", 985),
    ("tss", 984),
    ("uuidd", 983),
    ("dnsmasq", 982),
    ("_rpc", 981),
    ("statd", 980),
    ("tcpdump", 979),
    ("systemd-coredump", 978),
    ("systemd-oom", 977),
    ("bluetooth", 976),
    ("rdma", 975),
];

/// The range for automatic ids where no `r` line gives one: Debian's `SYSTEM_ALLOC_UID_MIN` up to the pinned ones.
const DEFAULT_RANGE: (u32, u32) = (100, 899);

/// Adds what `request` asks for to the accounts of `base`.
pub(super) fn allocate(base: Accounts, request: &Request) -> Result<Accounts, AccountsError> {
    let mut ids = Allocation::new(base, &request.ranges);
    for group in &request.groups {
        ids.add_group(group)?;
    }
    for user in &request.users {
        ids.add_user(user)?;
    }
    for member in &request.members {
        let groups = &mut ids.accounts.groups;
        let group = groups
            .iter_mut()
            .find(|group| group.name == member.name)
            .expect("add_implied has added a group or a user of that name, and a user brings its group");
        if !group.members.contains(&member.what) {
            group.members.push(member.what.clone());
        }
    }
    Ok(ids.accounts)
}

/// The names behind one number.
#[derive(Debug, Default)]
struct Owners {
    user: Option<String>,
    group: Option<String>,
}

#[derive(Debug)]
struct Allocation {
    accounts: Accounts,
    owners: BTreeMap<u32, Owners>,
    /// What automatic allocation still has, each range from its end downwards; the last range first.
    ranges: Vec<(u32, u32)>,
}

impl Allocation {
    fn new(accounts: Accounts, ranges: &[(u32, u32)]) -> Self {
        let mut owners: BTreeMap<u32, Owners> = BTreeMap::new();
        for user in &accounts.users {
            owners.entry(user.uid).or_default().user = Some(user.name.clone());
        }
        for group in &accounts.groups {
            owners.entry(group.gid).or_default().group = Some(group.name.clone());
        }
        let mut ranges = match ranges {
            [] => vec![DEFAULT_RANGE],
            _ => ranges.to_vec(),
        };
        ranges.sort_unstable_by_key(|(first, last)| (*last, *first));
        Self {
            accounts,
            owners,
            ranges,
        }
    }

    fn add_group(&mut self, wish: &Wish<Option<u32>>) -> Result<u32, AccountsError> {
        if let Some(present) = self.accounts.groups.iter().find(|group| group.name == wish.name) {
            return Ok(present.gid);
        }
        let gid = match wish.what {
            Some(gid) => match self.owners.get(&gid).and_then(|owners| owners.group.as_ref()) {
                Some(owner) => return Err(taken(wish, gid, owner)),
                None => gid,
            },
            None => self.free_id(&wish.name, &wish.at)?,
        };
        self.owners.entry(gid).or_default().group = Some(wish.name.clone());
        self.accounts.groups.push(Group {
            name: wish.name.clone(),
            gid,
            members: Vec::new(),
        });
        Ok(gid)
    }

    fn add_user(&mut self, wish: &Wish<UserWish>) -> Result<(), AccountsError> {
        if self.accounts.users.iter().any(|user| user.name == wish.name) {
            return Ok(());
        }
        let gid = self.group_of(wish)?;
        let own_group = wish.what.group == GroupWish::OwnName;
        let uid = match wish.what.uid {
            Some(uid) => match self.owners.get(&uid).and_then(|owners| owners.user.as_ref()) {
                Some(owner) => return Err(taken(wish, uid, owner)),
                None => uid,
            },
            None if own_group && self.is_free(gid, &wish.name) => gid,
            None => self.free_id(&wish.name, &wish.at)?,
        };
        self.owners.entry(uid).or_default().user = Some(wish.name.clone());
        let UserWish {
            gecos,
            home,
            shell,
            login,
            ..
        } = wish.what.clone();
        self.accounts.users.push(User {
            name: wish.name.clone(),
            uid,
            gid,
            gecos,
            home,
            shell,
            login,
        });
        Ok(())
    }

    fn group_of(&mut self, wish: &Wish<UserWish>) -> Result<u32, AccountsError> {
        let mut groups = self.accounts.groups.iter();
        let (found, name) = match &wish.what.group {
            GroupWish::Id(gid) => (groups.find(|group| group.gid == *gid), gid.to_string()),
            GroupWish::Name(name) => (groups.find(|group| group.name == *name), name.clone()),
            GroupWish::OwnName => {
                // A group of the user's name gets the user's number where that is free.
                let uid = wish.what.uid.filter(|uid| self.is_free(*uid, &wish.name));
                return self.add_group(&Wish {
                    name: wish.name.clone(),
                    what: uid,
                    at: wish.at.clone(),
                });
            }
        };
        found.map(|group| group.gid).ok_or_else(|| AccountsError::UnknownGroup {
            at: wish.at.clone(),
            name: wish.name.clone(),
            group: name,
        })
    }

    /// Whether `name` may have this number: nobody else has it, as user or as group.
    fn is_free(&self, id: u32, name: &str) -> bool {
        self.owners.get(&id).is_none_or(|owners| {
            let mut names = owners.user.iter().chain(&owners.group);
            names.all(|owner| owner == name)
        })
    }

    fn free_id(&mut self, name: &str, at: &Position) -> Result<u32, AccountsError> {
        let pinned = PINNED_IDS.iter().find(|(pinned, _)| *pinned == name);
        if let Some((_, id)) = pinned
            && self.is_free(*id, name)
        {
            return Ok(*id);
        }
        while let Some((first, last)) = self.ranges.pop() {
            if first < last {
                self.ranges.push((first, last - 1));
            }
            let reserved = PINNED_IDS.iter().any(|(_, id)| *id == last);
            if !reserved && self.is_free(last, name) {
                return Ok(last);
            }
        }
        Err(AccountsError::Exhausted {
            at: at.clone(),
            name: name.to_owned(),
        })
    }
}

fn taken<T>(wish: &Wish<T>, id: u32, owner: &str) -> AccountsError {
    AccountsError::IdTaken {
        at: wish.at.clone(),
        id,
        name: wish.name.clone(),
        owner: owner.to_owned(),
    }
}
