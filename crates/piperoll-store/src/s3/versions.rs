//! The versions of objects: the listing, and which version is the archive's own.
//!
//! S3 never replaces: a PUT puts a newer version over an object, and a DELETE without a version puts a
//! delete marker over it. Neither touches the locked version below. Because the archive creates an object
//! once, **the oldest version is its own**; what lies over it came from somebody else and is reported.
//! Derived objects are the exception: they are written again and again, and their newest version counts.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use http::header::SERVER;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::api::{Answer, Api, Call, NoAnswer};
use super::location::S3Location;
use crate::error::Source;

/// One version of an object, or a delete marker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// The object's name in the bucket.
    pub(super) name: String,
    pub(super) id: String,
    pub(super) is_marker: bool,
    pub(super) is_latest: bool,
    pub(super) size: u64,
}

/// One page of a listing: versions by name, of one name the newest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) versions: Vec<Version>,
    /// Where the next page begins; `None` behind the last one.
    pub(super) next: Option<Position>,
    /// What names have in common up to the delimiter that was asked for.
    pub(super) folders: Vec<String>,
    /// Whether the service lists by folders, and only sorts each page.
    pub(super) is_by_folder: bool,
}

/// A place in a listing: behind this name, or behind this version of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) name: String,
    pub(super) version: Option<String>,
}

/// Says why no page came.
#[derive(Debug)]
pub(super) enum PageError {
    /// There was no answer.
    NoAnswer(NoAnswer),
    /// The answer was a refusal.
    Refused(Answer),
    /// The answer is no listing.
    Invalid(Source),
}

/// The most that a page can have.
const PAGE: usize = 1_000;

/// Asks for one page of at most `limit` versions.
pub(super) async fn page(
    api: &Api,
    prefix: &str,
    after: Option<&Position>,
    limit: usize,
) -> Result<Page, PageError> {
    page_of(api, prefix, after, limit, None).await
}

async fn page_of(
    api: &Api,
    prefix: &str,
    after: Option<&Position>,
    limit: usize,
    delimiter: Option<&str>,
) -> Result<Page, PageError> {
    let limit = limit.clamp(1, PAGE).to_string();
    // Foreign names may have characters that XML cannot carry.
    let mut query =
        vec![("versions", ""), ("encoding-type", "url"), ("max-keys", &limit), ("prefix", prefix)];
    query.extend(delimiter.map(|delimiter| ("delimiter", delimiter)));
    if let Some(after) = after {
        query.push(("key-marker", &after.name));
        if let Some(version) = &after.version {
            query.push(("version-id-marker", version));
        }
    }
    let call = Call { query: &query, ..Call::default() };
    let answer = api.send(Method::GET, &call).await.map_err(PageError::NoAnswer)?;
    if !answer.status.is_success() {
        return Err(PageError::Refused(answer));
    }
    let text = std::str::from_utf8(&answer.body).map_err(|error| PageError::Invalid(error.into()))?;
    let mut page = parse(text).map_err(PageError::Invalid)?;
    page.is_by_folder = is_by_folder(&answer);
    Ok(page)
}

/// Tells a service that walks folders: behind `a-b` it does not give `a/b`, which comes later in the order of bytes.
/// Nothing in its pages shows that, so it is known by its name.
fn is_by_folder(answer: &Answer) -> bool {
    let server = answer.headers.get(SERVER).and_then(|server| server.to_str().ok());
    server.is_some_and(|server| server.contains("SeaweedFS"))
}

/// Reads a `ListVersionsResult`.
fn parse(text: &str) -> Result<Page, Source> {
    let mut reader = Reader::from_str(text);
    let mut page = Page::default();
    let (mut next, mut is_cut, mut is_listing) = (Position::default(), false, false);
    let mut is_encoded = false;
    let mut path: Vec<String> = Vec::new();
    let mut current: Option<Version> = None;
    let mut value = String::new();
    loop {
        match reader.read_event()? {
            Event::Start(tag) => {
                let tag = tag.local_name().as_ref().to_owned();
                is_listing |= path.is_empty() && tag == "ListVersionsResult";
                if path.len() == 1 && (tag == "Version" || tag == "DeleteMarker") {
                    current = Some(Version { is_marker: tag == "DeleteMarker", ..Version::default() });
                }
                path.push(tag);
                value.clear();
            }
            Event::Text(part) => value.push_str(&part),
            Event::GeneralRef(part) => value.push_str(&resolve(&part)?),
            Event::End(_) => {
                let tag = path.pop().unwrap_or_default();
                match (&mut current, path.len(), tag.as_str()) {
                    (Some(version), 2, "Key") => version.name = std::mem::take(&mut value),
                    (Some(version), 2, "VersionId") => version.id = std::mem::take(&mut value),
                    (Some(version), 2, "IsLatest") => version.is_latest = value == "true",
                    (Some(version), 2, "Size") => version.size = value.parse()?,
                    (_, 1, "Version" | "DeleteMarker") => page.versions.extend(current.take()),
                    (None, 2, "Prefix") => page.folders.push(std::mem::take(&mut value)),
                    (None, 1, "EncodingType") => is_encoded = value == "url",
                    (None, 1, "IsTruncated") => is_cut = value == "true",
                    (None, 1, "NextKeyMarker") => next.name = std::mem::take(&mut value),
                    (None, 1, "NextVersionIdMarker") => next.version = Some(std::mem::take(&mut value)),
                    _ => {}
                }
                value.clear();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if !is_listing || !path.is_empty() {
        return Err("expected a `ListVersionsResult`, found something else".into());
    }
    if is_encoded {
        next.name = percent_decode(&next.name);
        page.versions.iter_mut().for_each(|version| version.name = percent_decode(&version.name));
        page.folders.iter_mut().for_each(|folder| *folder = percent_decode(folder));
    }
    next.version = next.version.filter(|version| !version.is_empty());
    if is_cut && next.name.is_empty() {
        let last = page.versions.last().ok_or("expected a marker for the next page, found none")?;
        next = Position { name: last.name.clone(), version: Some(last.id.clone()) };
    }
    page.next = is_cut.then_some(next);
    Ok(page)
}

fn percent_decode(name: &str) -> String {
    form_urlencoded::parse(format!("n={name}").as_bytes())
        .next()
        .map(|(_, name)| name.into_owned())
        .unwrap_or_default()
}

fn resolve(name: &str) -> Result<String, Source> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16)?,
            None => number.parse()?,
        };
        return Ok(char::from_u32(code).ok_or("expected a character, found another number")?.to_string());
    }
    let text = quick_xml::escape::resolve_predefined_entity(name).ok_or("expected a predefined entity")?;
    Ok(text.to_owned())
}

/// All versions of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    /// The newest first.
    pub(super) versions: Vec<Version>,
}

impl History {
    /// Adds a version that is older than those before, or the latest.
    fn add(&mut self, version: Version) {
        let at = if version.is_latest { 0 } else { self.versions.len() };
        self.versions.insert(at, version);
    }

    /// Returns the oldest version: the one that was created.
    pub(super) fn original(&self) -> Option<&Version> {
        self.versions.iter().rev().find(|version| !version.is_marker)
    }

    /// Returns the newest version, unless a delete marker lies over it.
    pub(super) fn newest(&self) -> Option<&Version> {
        self.versions.first().filter(|version| !version.is_marker)
    }
}

/// A listing of histories by name, as far as it was read.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    location: &'a S3Location,
    prefix: &'a str,
    /// Only names behind this one count.
    after: Option<&'a str>,
    /// How many complete histories are wanted; `None` for all, in whatever order they come.
    limit: Option<usize>,
    /// The histories, by name.
    pub(super) found: BTreeMap<String, History>,
    /// Whether the names came in the order of their bytes. If not, there may be more that belong before those
    /// that were found.
    pub(super) is_ordered: bool,
}

impl<'a> Listing<'a> {
    /// The first `limit` names behind `after`, on a service that lists in the order of bytes.
    pub(super) fn new(
        location: &'a S3Location,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Self {
        Self { location, prefix, after, limit: Some(limit), found: BTreeMap::new(), is_ordered: true }
    }

    /// All names behind `after`, on a service with an order of its own.
    pub(super) fn whole(location: &'a S3Location, prefix: &'a str, after: Option<&'a str>) -> Self {
        Self { limit: None, ..Self::new(location, prefix, after, 0) }
    }

    /// Asks for pages until enough was found.
    pub(super) async fn read(&mut self, api: &Api) -> Result<(), PageError> {
        let marker = self.after.filter(|_| self.limit.is_some());
        let mut position = marker.map(|name| Position { name: name.to_owned(), version: None });
        // Some services list all versions of a page before all its delete markers.
        let mut last = [marker.unwrap_or_default(); 2].map(str::to_owned);
        loop {
            // Whole pages show the service's order.
            let page = page(api, self.prefix, position.as_ref(), PAGE).await?;
            self.is_ordered &= !page.is_by_folder;
            for version in page.versions {
                let last = &mut last[usize::from(version.is_marker)];
                self.is_ordered &= version.name >= *last;
                last.clone_from(&version.name);
                let is_behind = self.after.is_none_or(|after| version.name.as_str() > after);
                // What has no key is none of this store's.
                if is_behind && self.location.key(&version.name).is_some() {
                    self.found.entry(version.name.clone()).or_default().add(version);
                }
            }
            // The last history may go on with the next page.
            let is_enough = self.limit.is_some_and(|limit| self.found.len() > limit || !self.is_ordered);
            if page.next.is_none() || page.next == position || is_enough {
                return Ok(());
            }
            position = page.next;
        }
    }
}

/// Returns what the names below `prefix` have in common up to their next slash, each once.
pub(super) async fn folders(api: &Api, prefix: &str) -> Result<BTreeSet<String>, PageError> {
    let mut folders = BTreeSet::new();
    let mut after = None;
    loop {
        let page = page_of(api, prefix, after.as_ref(), PAGE, Some("/")).await?;
        folders.extend(page.folders);
        // A service that knows no delimiter lists everything.
        let whole = page.versions.iter().filter_map(|version| folder_of(&version.name, prefix));
        folders.extend(whole);
        match page.next {
            Some(next) if after.as_ref() != Some(&next) => after = Some(next),
            _ => return Ok(folders),
        }
    }
}

/// Returns the beginning of a name up to the first slash behind `prefix`.
fn folder_of(name: &str, prefix: &str) -> Option<String> {
    let end = name.get(prefix.len()..)?.find('/')?;
    Some(name[..=prefix.len() + end].to_owned())
}

/// Reads the whole history of one object.
pub(super) async fn history(api: &Api, name: &str) -> Result<History, PageError> {
    let mut history = History::default();
    let mut after = None;
    loop {
        // Names behind this one share its beginning; of most objects there is one version.
        let page = page(api, name, after.as_ref(), if after.is_none() { 10 } else { PAGE }).await?;
        let is_past = page.versions.iter().any(|version| version.name != name);
        page.versions.into_iter().filter(|version| version.name == name).for_each(|it| history.add(it));
        match page.next {
            Some(next) if !is_past && after.as_ref() != Some(&next) => after = Some(next),
            _ => return Ok(history),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>records</Name><Prefix>a</Prefix><KeyMarker/><MaxKeys>4</MaxKeys>
  <IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker><NextVersionIdMarker>v3</NextVersionIdMarker>
  <Version><Key>a&amp;&#x2f;</Key><VersionId>v1</VersionId><Size>7</Size>
    <Owner><ID>x</ID><DisplayName>y</DisplayName></Owner></Version>
  <Version><Key>b</Key><VersionId>v3</VersionId><Size>9</Size></Version>
  <DeleteMarker><Key>a</Key><VersionId>v2</VersionId><Owner><ID>x</ID></Owner></DeleteMarker>
</ListVersionsResult>"#;

    fn version(name: &str, id: &str, is_marker: bool, size: u64) -> Version {
        Version { name: name.to_owned(), id: id.to_owned(), is_marker, size, is_latest: false }
    }

    #[test]
    fn listing_is_read() {
        let page = parse(LISTING).expect("it is a listing");
        let expected =
            [version("a&/", "v1", false, 7), version("b", "v3", false, 9), version("a", "v2", true, 0)];
        assert_eq!(page.versions, expected);
        assert_eq!(page.next, Some(Position { name: "b".to_owned(), version: Some("v3".to_owned()) }));
        let last = parse("<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>");
        assert_eq!(last.expect("it is a listing"), Page::default());
        let folders = "<ListVersionsResult><Prefix>a/</Prefix><CommonPrefixes><Prefix>a/b/</Prefix></CommonPrefixes>\
            <CommonPrefixes><Prefix>a/c/</Prefix></CommonPrefixes></ListVersionsResult>";
        assert_eq!(parse(folders).expect("it is a listing").folders, ["a/b/", "a/c/"]);
        let encoded = "<ListVersionsResult><EncodingType>url</EncodingType><Version><Key>a%2Fb%01+c</Key>\
            </Version></ListVersionsResult>";
        assert_eq!(parse(encoded).expect("it is a listing").versions[0].name, "a/b\u{1} c");
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for text in [
            "",
            "<html></html>",
            "<ListVersionsResult>",
            "<ListVersionsResult><Version><Size>x</Size></Version></ListVersionsResult>",
            "<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>",
            "<ListVersionsResult>&bad;</ListVersionsResult>",
        ] {
            assert!(parse(text).is_err(), "`{text}` is no listing");
        }
    }

    #[test]
    fn oldest_version_is_the_original() {
        let history = History {
            versions: vec![
                version("a", "3", true, 0),
                version("a", "2", false, 2),
                version("a", "1", false, 1),
            ],
        };
        assert_eq!(history.original().map(|version| version.id.as_str()), Some("1"));
        assert_eq!(history.newest(), None);
        let plain = History { versions: vec![version("a", "1", false, 1)] };
        assert_eq!(plain.original(), plain.newest());
        assert_eq!(History { versions: vec![version("a", "1", true, 0)] }.original(), None);
        let mut listed = History::default();
        listed.add(version("a", "1", false, 1));
        listed.add(Version { is_latest: true, ..version("a", "2", true, 0) });
        assert_eq!((listed.original().map(|it| it.id.as_str()), listed.newest()), (Some("1"), None));
    }
}
