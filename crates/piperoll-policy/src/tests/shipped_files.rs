//! Tests of policies: shipped files.

use std::fs;

use super::repository;
use crate::{Policy, PolicySet, shipped};

#[test]
fn all_shipped_policies_make_a_set() {
    let policies = shipped().iter().map(|(name, text)| Policy::parse(name, text).unwrap());
    let set = PolicySet::new(policies.collect()).unwrap();
    assert_eq!(set.policies().len(), shipped().len());
    let longest: Vec<&str> = set.policies()[..2].iter().map(|policy| policy.id().as_str()).collect();
    assert_eq!(longest, ["disposal-records", "mifid-ii-7y"]);
}

#[test]
fn every_file_of_the_folder_is_shipped_under_its_id() {
    let folder = fs::read_dir(repository().join("retention-policies")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".toml")).collect();
    names.sort();
    let shipped_names: Vec<&str> = shipped().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, shipped_names);
    for (name, text) in shipped() {
        let policy = Policy::parse(name, text).unwrap();
        assert_eq!(*name, format!("{}.toml", policy.id()));
        assert_eq!(policy.file(), *name);
    }
}
