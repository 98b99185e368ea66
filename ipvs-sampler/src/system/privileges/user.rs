//! Users by name. From the files themselves: a static binary cannot load what else libc may ask.

use std::fs;

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As it was given.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// Its own group.
    pub group: u32,
    /// The others it is in.
    pub groups: Vec<u32>,
}

impl User {
    /// By name or number.
    ///
    /// # Errors
    /// Why there is none, for the operator.
    pub fn look_up(text: &str) -> Result<Self, String> {
        let read =
            |path| fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"));
        let groups = read("/etc/group").unwrap_or_default();
        match (read("/etc/passwd"), text.parse()) {
            (Ok(users), number) => find(text, &users, &groups).or_else(|| numbered(number.ok()?)),
            (Err(_), Ok(number)) => numbered(number),
            (Err(error), Err(_)) => return Err(error),
        }
        .ok_or_else(|| "no such user in /etc/passwd".into())
    }
}

/// One that has no name here, as in a container.
fn numbered(id: u32) -> Option<User> {
    Some(User {
        name: id.to_string(),
        id,
        group: id,
        groups: Vec::new(),
    })
}

/// passwd(5) is name:password:number:group:..., group(5) name:password:number:member,member.
fn find(text: &str, users: &str, groups: &str) -> Option<User> {
    let (name, id, group) = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        let group = fields.next()?;
        (name == text || id == text).then_some((name, id, group))
    })?;
    let others = groups.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        let (id, members) = (fields.next()?, fields.next()?);
        let member = members.split(',').any(|member| member == name);
        member.then(|| id.parse().ok()).flatten()
    });
    Some(User {
        name: text.into(),
        id: id.parse().ok()?,
        group: group.parse().ok()?,
        groups: others.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{User, find, numbered};

    #[test]
    fn a_user_is_found_by_name_or_number_with_all_groups() {
        let users = "root:x:0:0:root:/root:/bin/sh\nlb:x:77:78::/:/bin/false\n";
        let groups = "root:x:0:\nlb:x:78:\nadm:x:4:lb,root\ndisk:x:6:lb2\n";
        for text in ["lb", "77"] {
            assert_eq!(
                find(text, users, groups),
                Some(User {
                    name: text.into(),
                    id: 77,
                    group: 78,
                    groups: vec![4],
                })
            );
        }
        assert_eq!(find("nobody", users, groups), None);
        assert_eq!(numbered(65534).map(|user| user.group), Some(65534));
        assert_eq!(find("", "", ""), None);
    }
}
