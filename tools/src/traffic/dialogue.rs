//! Plays one conversation between a customer and the firm and emits its webhooks.

use super::account::{TEMPLATES, Template};
use super::envelope::{Progress, echoed, received, status, statuses};
use super::json::Json;
use super::message::{
    Content, Extras, Side, button, button_reply, call_permission, contacts, document, edit, flow_reply,
    image, list_reply, location, message_id, order, reaction, referral, reply_to, revoke, sticker, text,
    video, voice,
};
use super::people::{Customer, Number};
use super::phrase::{Bank, Subject, Topic};
use super::random::Random;
use super::{Target, Webhook};

/// A conversation being played; `at` moves on with every turn.
struct Stage<'a> {
    number: &'a Number,
    customer: &'a Customer,
    bank: &'static Bank,
    subject: Subject,
    at: i64,
    random: &'a mut Random,
    out: &'a mut Vec<Webhook>,
}

/// Plays a conversation that starts at `at` (Unix seconds) and adds its webhooks to `out`.
pub(crate) fn play(
    number: &Number,
    customer: &Customer,
    at: i64,
    random: &mut Random,
    out: &mut Vec<Webhook>,
) {
    let bank = customer.bank();
    let topic = random.pick(bank.topics(number.unit));
    let subject = Subject::new(customer, topic, random);
    let mut stage = Stage { number, customer, bank, subject, at, random, out };
    match stage.random.below(10) {
        0 => stage.invited(),
        1 => stage.guided(topic),
        _ => stage.asked(topic),
    }
}

impl Stage<'_> {
    /// The customer asks, somebody answers, both go on.
    fn asked(&mut self, topic: &Topic) {
        let line = *self.random.pick(&topic.opening);
        let opening = self.line(&[line]);
        let came_from_ad = self.random.chance(12);
        let referral = came_from_ad.then(|| referral(self.number, self.customer, self.random));
        let mut last = self.say("text", &text(&opening), Extras { context: None, referral });
        if self.random.chance(12) {
            self.correct(line, &last);
        }
        if self.random.chance(22) {
            last = self.show();
        }
        let answer = self.answer(&topic.answer, &last);
        let follow_up = self.line(&topic.follow_up);
        let context = self.random.chance(45).then(|| reply_to(Some(self.number.display), &answer));
        last = self.say("text", &text(&follow_up), Extras { context, referral: None });
        if self.random.chance(20) {
            last = self.show();
        }
        let closing = self.answer(&topic.closing, &last);
        self.part(&closing);
    }

    /// A template invites, the customer taps one of its buttons.
    fn invited(&mut self) {
        let template: &Template = self.random.pick(&TEMPLATES);
        let id = message_id(Side::Business, self.customer.address(), self.random);
        let category = template.category.to_lowercase();
        if self.random.chance(12) {
            let codes = [131_026, 131_047, 131_049, 131_050];
            let code = if category == "marketing" { *self.random.pick(&codes) } else { codes[0] };
            return self.progress("status-failed", &id, &[Progress::Failed(code)], &category);
        }
        self.deliver(&id, &category);
        self.pause(60, 7200);
        let label = *self.random.pick(&template.buttons);
        let context = Some(reply_to(Some(self.number.display), &id));
        let payload = format!("{}-{}", template.name, self.subject.reference());
        let pressed = self.say("button", &button(&payload, label), Extras { context, referral: None });
        self.answer(&self.bank.goodbye, &pressed);
    }

    /// The customer is led by buttons, lists, flows and a cart.
    fn guided(&mut self, topic: &Topic) {
        let reference = self.subject.reference().to_owned();
        let opening = self.line(&topic.opening);
        let asked = self.say("text", &text(&opening), Extras::default());
        let menu = self.answer(&topic.answer, &asked);
        let (label, content) = match self.random.below(5) {
            0 => (
                "interactive-button_reply",
                button_reply(&format!("yes-{reference}"), self.subject.product()),
            ),
            1 => {
                let amount = self.subject.amount();
                ("interactive-list_reply", list_reply(&reference, self.subject.product(), &amount))
            }
            2 => {
                let response =
                    format!(r#"{{"flow_token":"{reference}","day":"2026-11-20","slot":"{}"}}"#, topic.name);
                ("interactive-nfm_reply", flow_reply(&response))
            }
            3 => ("interactive-call_permission_reply", call_permission(self.at + 604_800)),
            _ => {
                let note = self.line(&topic.follow_up);
                ("order", order(Some(&note), self.subject.cents(), self.random))
            }
        };
        let context = Some(reply_to(Some(self.number.display), &menu));
        let chosen = self.say(label, &content, Extras { context, referral: None });
        let closing = self.answer(&topic.closing, &chosen);
        self.part(&closing);
    }

    /// The customer shows or sends something.
    fn show(&mut self) -> String {
        let caption = self.line(&self.bank.captions);
        let filename = format!("{}-2026.pdf", self.subject.reference());
        let (label, content): (&'static str, Content) = match self.random.below(12) {
            0..=3 => ("image", image(Some(&caption), self.random)),
            4..=6 => ("document", document(&filename, Some(&caption), self.random)),
            7..=8 => ("audio", voice(self.random)),
            9 => ("location", location(true, self.random)),
            10 => ("video", video(Some(&caption), self.random)),
            _ => ("contacts", contacts(self.customer)),
        };
        self.say(label, &content, Extras::default())
    }

    /// The customer corrects or takes back what was just said.
    fn correct(&mut self, line: &'static str, target: &str) {
        if self.random.chance(65) {
            let corrected = self.line(&[line]);
            self.say("edit", &edit(target, &text(&corrected)), Extras::default());
        } else {
            self.say("revoke", &revoke(target), Extras::default());
            let again = self.line(&[line]);
            self.say("text", &text(&again), Extras::default());
        }
    }

    /// Thanks, a reaction, a sticker, or nothing more.
    fn part(&mut self, closing: &str) {
        match self.random.below(10) {
            0..=3 => {
                let thanks = self.line(&self.bank.thanks);
                let last = self.say("text", &text(&thanks), Extras::default());
                if self.random.chance(30) {
                    self.answer(&self.bank.goodbye, &last);
                }
            }
            4..=5 => {
                let emoji = *self.random.pick(&["👍", "🙏", "❤️", "😊"]);
                self.say("reaction", &reaction(closing, Some(emoji)), Extras::default());
                if self.random.chance(10) {
                    self.say("reaction-removed", &reaction(closing, None), Extras::default());
                }
            }
            6 => {
                let content = sticker(self.random);
                self.say("sticker", &content, Extras::default());
            }
            _ => {}
        }
    }

    /// The firm answers, from the app (an echo) or through the API (statuses only); gives the message id.
    fn answer(&mut self, lines: &[&'static str], question: &str) -> String {
        self.pause(20, 900);
        let id = message_id(Side::Business, self.customer.address(), self.random);
        if self.random.chance(40) {
            self.deliver(&id, "service");
            return id;
        }
        let said = self.line(lines);
        let context = self.random.chance(25).then(|| reply_to(self.customer.phone.as_deref(), question));
        self.echo("echo-text", &id, &text(&said), context);
        match self.random.below(30) {
            0 => {
                let other = message_id(Side::Business, self.customer.address(), self.random);
                let corrected = self.line(lines);
                self.echo("echo-edit", &other, &edit(&id, &text(&corrected)), None);
            }
            1 => {
                let other = message_id(Side::Business, self.customer.address(), self.random);
                self.echo("echo-revoke", &other, &revoke(&id), None);
            }
            2..=4 => {
                let other = message_id(Side::Business, self.customer.address(), self.random);
                let filename = format!("{}.pdf", self.subject.reference());
                let content = document(&filename, None, self.random);
                self.echo("echo-document", &other, &content, None);
            }
            _ => {}
        }
        id
    }

    fn deliver(&mut self, id: &str, category: &str) {
        match self.random.below(10) {
            0 => self.progress("status", id, &[Progress::Sent, Progress::Delivered], category),
            1 => {
                self.progress("status", id, &[Progress::Sent, Progress::Delivered, Progress::Read], category);
            }
            2..=3 => {
                self.progress("status-sent", id, &[Progress::Sent], category);
                self.progress("status-read", id, &[Progress::Read], category);
            }
            _ => {
                self.progress("status-sent", id, &[Progress::Sent], category);
                self.progress("status-delivered", id, &[Progress::Delivered], category);
                self.progress("status-read", id, &[Progress::Read], category);
            }
        }
    }

    /// Emits one body with the given statuses of a message.
    fn progress(&mut self, label: &'static str, id: &str, steps: &[Progress], category: &str) {
        let opaque = format!("crm:{}", self.subject.reference());
        let mut entries = Vec::with_capacity(steps.len());
        for step in steps {
            self.at += self.random.between(1, if *step == Progress::Read { 240 } else { 6 });
            entries.push(status(self.customer, id, *step, self.at, category, &opaque));
        }
        let failed = matches!(steps, [Progress::Failed(_)]);
        let body = statuses(self.number, self.customer, entries, failed);
        self.emit(label, &body);
    }

    fn say(&mut self, label: &'static str, content: &Content, extras: Extras) -> String {
        self.pause(8, 240);
        let id = message_id(Side::Customer, self.customer.address(), self.random);
        let body = received(self.number, self.customer, &id, self.at, content, extras);
        self.emit(label, &body);
        id
    }

    fn echo(&mut self, label: &'static str, id: &str, content: &Content, context: Option<Json>) {
        self.pause(3, 60);
        let body = echoed(self.number, self.customer, id, self.at, content, context);
        self.emit(label, &body);
    }

    fn emit(&mut self, label: &'static str, body: &Json) {
        self.out.push(Webhook { body: body.to_bytes(), label, at: self.at, target: Target::Webhook });
    }

    fn line(&mut self, lines: &[&'static str]) -> String {
        let line = *self.random.pick(lines);
        self.subject.fill(line, self.at, self.random)
    }

    fn pause(&mut self, low: i64, high: i64) {
        self.at += self.random.between(low, high);
    }
}
