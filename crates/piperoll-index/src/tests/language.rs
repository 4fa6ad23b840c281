//! One realistic message per language; natural queries find their own and nothing else.

use super::Fixture;

const MESSAGES: [(&str, &str); 14] = [
    ("indonesian", "Selamat pagi Bu, mohon konfirmasi pembayaran tagihan listrik bulan ini ya"),
    ("polish", "Dzień dobry, chciałabym zgłosić reklamację — żółta łódź przyszła uszkodzona"),
    ("spanish", "¿Podría enviarme el número de póliza? Mañana tengo la reunión con el médico"),
    ("portuguese", "Não consigo fazer a transferência, o cartão está bloqueado desde ontem à noite"),
    ("english", "Don't forget: acct-12 was charged $1,250.00 twice on the café invoice"),
    ("hindi", "नमस्ते, मेरी दवाई की पर्ची और डॉक्टर की नियुक्ति कब मिलेगी"),
    ("arabic", "السلام عليكم، أريد تأكيد موعد الاجتماع مع المُدِير غداً في الساعة ٣"),
    ("chinese", "今天下午三点开会讨论保密协议，请准备合同"),
    ("japanese", "これは秘密の取引です。明日の会議でご確認をお願いします。カタカナ"),
    ("thai", "การประชุมวันนี้เลื่อนไปเป็นพรุ่งนี้ กรุณายืนยันการชำระเงินด้วยค่ะ"),
    ("korean", "내일 회의를 오후 세 시로 변경해 주세요"),
    ("turkish", "İstanbul şubesinden kredi kartı ekstresini gönderir misiniz"),
    ("vietnamese", "Xin chào, tôi muốn hủy đơn hàng và hoàn tiền về thẻ ngân hàng"),
    ("russian", "Подтвердите, пожалуйста, ещё раз перевод на счёт №4481"),
];

fn fixture() -> Fixture {
    Fixture::with_texts(&MESSAGES.map(|(_, text)| text))
}

#[track_caller]
fn check(language: &str, queries: &[&str]) {
    let fixture = fixture();
    let seq = MESSAGES.iter().position(|(name, _)| *name == language).unwrap() as u64;
    for query in queries {
        fixture.check(query, &[seq]);
    }
}

#[test]
fn indonesian_is_found() {
    check(
        "indonesian",
        &["pembayaran", "tagihan listrik", "\"konfirmasi pembayaran\"", "bayar* OR konfirm*"],
    );
}

#[test]
fn polish_is_found_with_and_without_accents() {
    check("polish", &["żółta", "zolta", "ŁÓDŹ", "lodz", "reklamację", "reklam*", "\"dzien dobry\""]);
}

#[test]
fn spanish_is_found() {
    check("spanish", &["póliza", "poliza", "\"numero de poliza\"", "mañana", "manana reunion", "medico"]);
}

#[test]
fn portuguese_is_found() {
    check("portuguese", &["transferência", "transferencia", "cartao bloqueado", "NÃO", "noite"]);
}

#[test]
fn english_words_accounts_and_amounts_are_found() {
    check(
        "english",
        &["don't", "don’t", "acct-12", "acct", "1,250.00", "cafe", "CAFÉ", "invoices OR invoice", "charg*"],
    );
}

#[test]
fn hindi_is_found_and_vowel_signs_matter() {
    check("hindi", &["दवाई", "डॉक्टर", "\"डॉक्टर की नियुक्ति\"", "नमस्ते", "पर्ची"]);
    fixture().check("दवा", &[]);
    fixture().check("दवा*", &[5]);
}

#[test]
fn arabic_is_found_with_any_spelling_of_alef_article_and_vowels() {
    check(
        "arabic",
        &[
            "الاجتماع",
            "اجتماع",
            "موعد الإجتماع",
            "المدير",
            "مدير",
            "المـــدير",
            "اريد",
            "\"الساعة 3\"",
            "الاج*",
            "غدا",
        ],
    );
}

#[test]
fn chinese_is_found_by_every_substring() {
    check(
        "chinese",
        &[
            "保密协议",
            "保密",
            "协议",
            "开会",
            "今天下午",
            "三点开会",
            "合同",
            "\"讨论保密\"",
            "保 AND 密",
            "议",
        ],
    );
    fixture().check("协保", &[]);
    fixture().check("保议", &[]);
    fixture().check("议请", &[]);
}

#[test]
fn japanese_is_found_in_every_width() {
    check(
        "japanese",
        &["秘密", "取引", "秘密の取引", "明日の会議", "確認", "お願いします", "カタカナ", "ｶﾀｶﾅ", "引"],
    );
}

#[test]
fn thai_is_found_without_spaces() {
    check("thai", &["ประชุม", "การประชุม", "วันนี้", "พรุ่งนี้", "ยืนยันการชำระเงิน", "ชำระเงิน", "เงิน"]);
}

#[test]
fn korean_is_found_without_its_particles() {
    check("korean", &["회의", "회의를", "내일", "변경", "\"내일 회의\""]);
}

#[test]
fn turkish_is_found_with_either_i() {
    check("turkish", &["istanbul", "İstanbul", "ISTANBUL", "subesinden", "kartı", "karti"]);
}

#[test]
fn vietnamese_is_found_without_tone_marks() {
    check("vietnamese", &["ngân hàng", "ngan hang", "\"đơn hàng\"", "don hang", "hoàn tiền"]);
}

#[test]
fn russian_is_found() {
    check("russian", &["подтвердите", "ПЕРЕВОД", "ещё", "еще", "счет", "4481", "перев*"]);
}

#[test]
fn words_of_no_message_find_nothing() {
    for query in ["zebra", "przelew", "会社", "ธนาคาร", "비밀", "بنك", "\"dobry dzien\"", "acct-13"]
    {
        fixture().check(query, &[]);
    }
}

#[test]
fn invisible_characters_do_not_hide_a_word() {
    let fixture =
        Fixture::with_texts(&["conf\u{ad}iden\u{200d}tial\u{202e}", "ｃｏｎｆｉｄｅｎｔｉａｌ", "ﬁnance"]);
    fixture.check("confidential", &[1, 0]);
    fixture.check("finance", &[2]);
}

#[test]
fn emoji_are_words() {
    let fixture = Fixture::with_texts(&["👍🏽", "thanks❤️bye", "👨‍👩‍👧"]);
    fixture.check("👍", &[0]);
    fixture.check("❤", &[1]);
    fixture.check("bye", &[1]);
    fixture.check("👨‍👩‍👧", &[2]);
}

#[test]
fn a_word_without_end_is_found_whole_and_by_its_start() {
    let long = "abcdefghij".repeat(300);
    let fixture = Fixture::with_texts(&[&long, "short"]);
    fixture.check(&long, &[0]);
    fixture.check("abcd*", &[0]);
}
