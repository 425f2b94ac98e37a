use proptest::prelude::*;

use super::*;

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

fn archives(files: &[SourceFile]) -> [String; 2] {
    let mirror = Mirror::choose(None, files).unwrap();
    ARCHIVES.map(|archive| mirror.archive(archive).unwrap())
}

#[test]
fn a_given_mirror_wins_and_may_name_the_archive_or_the_folder_above() {
    let apt = [file("sources.list", "deb http://apt.test/debian trixie main")];
    for given in [
        "http://host.test:8080/x",
        "http://host.test:8080/x/",
        "http://host.test:8080/x/debian",
        "http://host.test:8080/x/debian-security/",
    ] {
        let mirror = Mirror::choose(Some(given), &apt).unwrap();
        assert_eq!(mirror.archive("debian").unwrap(), "http://host.test:8080/x/debian");
        assert_eq!(
            mirror.archive("debian-security").unwrap(),
            "http://host.test:8080/x/debian-security"
        );
    }
}

#[test]
fn local_folders_are_mirrors_too() {
    let of = |text| Mirror::parse(text).unwrap().archive("debian").unwrap();
    assert_eq!(of("/srv/mirror"), "/srv/mirror/debian");
    assert_eq!(of("/srv/debian/"), "/srv/debian");
    assert_eq!(of("file:///srv/mirror"), "file:///srv/mirror/debian");
    assert_eq!(of("http://debian"), "http://debian/debian");
}

#[test]
fn urls_that_cannot_work_are_refused_without_showing_a_password() {
    for (text, problem) in [
        ("", "it is empty"),
        ("ftp://me:secret@host.test", "its scheme is not http, https or file"),
        (
            "http://me:secret@host.test/?a=b",
            "a base URL has no query and no fragment",
        ),
        ("http:///debian", "it names no host"),
        ("file://srv/debian", "a file URL has three slashes and a full path"),
    ] {
        let error = Mirror::parse(text).unwrap_err().to_string();
        assert!(error.ends_with(problem), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn one_line_sources_name_a_mirror() {
    let text = "# deb http://old.test/debian trixie main\n\
                deb-src http://src.test/debian trixie main\n\
                deb cdrom:[Debian 13]/ trixie main\n\
                deb [arch=amd64] http://first.test/debian/ trixie main # the mirror\n\
                deb http://security.test/debian-security trixie-security main\n\
                deb http://second.test/debian trixie main\n";
    assert_eq!(
        archives(&[file("sources.list", text)]),
        ["http://first.test/debian", "http://security.test/debian-security"]
    );
}

#[test]
fn deb822_sources_name_a_mirror() {
    let text = "Types: deb\n# a comment\nURIs: http://off.test/debian\nSuites: trixie\nComponents: main\nEnabled: no\n\n\
                types: deb-src\nURIs: http://src.test/debian\nSuites: trixie\nComponents: main\n\n\
                Types: deb deb-src\nURIs:\n http://one.test/debian/\n http://two.test/debian\nSuites: trixie trixie-updates\n\
                Components: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abcd\n";
    assert_eq!(
        archives(&[file("debian.sources", text)]),
        ["http://one.test/debian", "http://one.test/debian-security"]
    );
}

#[test]
fn archives_of_other_vendors_come_after_debians_own() {
    let files = [
        file(
            "docker.list",
            "deb [signed-by=/etc/apt/docker.asc] https://a.test/linux/debian trixie stable",
        ),
        file("mongo.list", "deb http://b.test/apt/debian trixie/mongo/7 main"),
        file(
            "runner.list",
            "deb [signed-by=/usr/share/keyrings/runner.gpg] https://c.test/runner/debian trixie main",
        ),
        file(
            "z.sources",
            "Types: deb\nURIs: http://d.test/debian\nSuites: trixie\nComponents: main\n\
             Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
        ),
    ];
    assert_eq!(archives(&files)[0], "http://d.test/debian");
    assert_eq!(archives(&files[..3])[0], "https://c.test/runner/debian");
    assert!(matches!(
        Mirror::choose(None, &files[..2]).unwrap_err(),
        MirrorError::NotFound
    ));
}

#[test]
fn a_host_without_debian_sources_gets_a_hint() {
    let ubuntu = [file(
        "ubuntu.sources",
        "Types: deb\nURIs: http://u.test/ubuntu\nSuites: noble\nComponents: main\n",
    )];
    let error = Mirror::choose(None, &ubuntu).unwrap_err();
    assert!(error.hints()[0].contains("`--mirror URL` or `SKERRY_MIRROR`"));
    let disabled = [file(
        "debian.sources.disabled",
        "Types: deb\nURIs: http://u.test/debian\nSuites: a\nComponents: main\n",
    )];
    assert!(Mirror::choose(None, &disabled).is_err());
}

#[test]
fn apt_folders_are_read_in_apts_order() {
    let etc = tempfile::tempdir().unwrap();
    assert_eq!(read_apt_sources(etc.path()).unwrap(), []);
    fs::create_dir(etc.path().join("sources.list.d")).unwrap();
    for name in [
        "sources.list.d/b.sources",
        "sources.list.d/a.list",
        "sources.list.d/c.list.save",
        "sources.list",
    ] {
        fs::write(etc.path().join(name), name).unwrap();
    }
    let names: Vec<String> = read_apt_sources(etc.path())
        .unwrap()
        .into_iter()
        .map(|file| file.name)
        .collect();
    assert_eq!(names, ["sources.list", "a.list", "b.sources"]);
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_a_panic(text in "(deb|Types|URIs|Suites|[\\[\\]#: \t\n]|http://|/debian|\\PC){0,40}") {
        for name in ["x.list", "x.sources"] {
            let _ = Mirror::from_apt_sources(&[file(name, &text)]);
        }
        let _ = Mirror::parse(&text);
        without_credentials(&text);
    }
}
