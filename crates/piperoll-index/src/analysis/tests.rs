//! Tests: tests.

use super::*;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let mut tokens = Tokens::default();
    tokens.analyse(text);
    let found: Vec<&str> = tokens.spans.iter().map(|span| tokens.slice(span)).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn text_becomes_folded_tokens() {
    check("Hello, World! acct-12", &["hello", "world", "acct", "12"]);
    check("", &[]);
    check(" .-_!", &[]);
    check("Zażółć gęślą jaźń", &["zazolc", "gesla", "jazn"]);
    check("Straße ŒUVRE Þór Đorđe ﬁn", &["strasse", "oeuvre", "thor", "dorde", "fin"]);
    check("İSTANBUL ısı", &["istanbul", "isi"]);
    check("e\u{301}te\u{301}", &["ete"]);
    check("Ὀδυσσεύς", &["οδυσσευσ"]);
    check("हिन्दी में क़लम", &["हिन्दी", "में", "क\u{93c}लम"]);
    check("كِتَاب الكتاب وَٱلكِتَابُ ى ة ۱۲۳ ٤٥", &["كتاب", "كتاب", "كتاب", "ي", "ه", "123", "45"]);
    check("بالله", &["بالله"]);
    check("会", &["会"]);
    check("会议", &["会议", "议"]);
    check("3点 on 月曜", &["3", "点", "on", "月曜", "曜"]);
    check("ｱｲ ＡＢＣ１", &["アイ", "イ", "abc1"]);
    check("가나", &["가나", "나"]);
    check("ที่นี่", &["ที่นี่", "นี่"]);
    check("๑๒๓", &["123"]);
    check("a👍🏽b", &["a", "👍", "b"]);
    check("co\u{ad}op \u{200f}x", &["coop", "x"]);
}

#[test]
fn a_query_is_found_in_every_text_that_contains_it() {
    // Method: cut every substring on character borders and look for its tokens at their distances.
    for text in ["保密协议签了", "ประชุมวันนี้", "회의시간"] {
        let mut tokens = Tokens::default();
        tokens.analyse(text);
        let borders: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
        for (place, start) in borders.iter().enumerate() {
            for end in &borders[place + 1..] {
                let part = &text[*start..*end];
                // A part that starts inside a written syllable is not something a person can type.
                if part.chars().next().is_some_and(|first| fold(first) == Folded::Mark)
                    || text[*end..].chars().next().is_some_and(|next| fold(next) == Folded::Mark)
                {
                    continue;
                }
                let wanted = query_tokens(part);
                let matches_at = |base: u32| {
                    wanted.iter().all(|token| {
                        tokens.spans.iter().any(|span| {
                            let is_text = match token.shape {
                                Shape::Last => tokens.slice(span).starts_with(&token.text),
                                _ => tokens.slice(span) == token.text,
                            };
                            is_text && span.position == base + token.position
                        })
                    })
                };
                assert!(!wanted.is_empty() && (0..32).any(matches_at), "`{part}` in `{text}`");
            }
        }
    }
}

#[test]
fn positions_jump_between_texts() {
    let tokens = query_tokens("one\0two");
    assert_eq!(tokens[1].position - tokens[0].position, TEXT_BREAK_POSITIONS + 1);
}

#[test]
fn long_words_are_cut_the_same_way_everywhere() {
    let long = "x".repeat(1_000);
    let tokens = query_tokens(&long);
    assert_eq!(tokens.iter().map(|token| token.text.len()).sum::<usize>(), 1_000);
    assert!(tokens.iter().all(|token| token.text.len() <= WORD_BYTES_MAX));
}

#[test]
fn analysis_never_fails_on_any_text() {
    bolero::check!().with_iterations(2_000).with_type::<String>().for_each(|text| {
        let mut tokens = Tokens::default();
        tokens.analyse(text);
        for span in &tokens.spans {
            assert!(!tokens.slice(span).is_empty());
        }
    });
}
