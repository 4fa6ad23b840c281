//! Every story in `stories/`, played by [`crate::transcript`].

use crate::transcript::play;

macro_rules! stories {
    ($($name:ident)*) => {
        const STORIES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                play(stringify!($name), include_str!(concat!("stories/", stringify!($name), ".txt")));
            }
        )*
    };
}

stories! {
    backup
    capture
    disposal
    errors
    first_steps
    import
    restore
    server
    tokens
    verification
}

#[test]
fn no_story_is_forgotten() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("cli/stories");
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.map(|name| name.trim_end_matches(".txt").to_owned()).collect();
    names.sort();
    assert_eq!(names, STORIES);
}
