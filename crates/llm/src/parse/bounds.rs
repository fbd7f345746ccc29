//! How long the answers to a request may be and how many, by all that its body says of that. Some
//! providers are passed what a client says in words of theirs, and go by them rather than by those of
//! the client's dialect: so they can only raise what is known, and never are a bound alone.

use dunlin_types::Tokens;

use crate::answers::{choices, count};
use crate::endpoint::Endpoint;
use crate::json::members;

/// What is read of it, member by member.
pub(super) struct Bounds {
    /// The largest that the client's dialect says, by whichever of its names.
    own: Option<Tokens>,
    /// The largest in words of others.
    beside: Tokens,
    /// Nobody knows what a provider makes of one, or whether it is sent one at all.
    is_unclear: bool,
    /// How many answers the client's dialect asks for.
    pub(super) choices: u32,
    /// How many others' words do.
    choices_beside: u32,
}

/// What a word of some provider's is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Length,
    Count,
    /// An object with such words.
    Holder,
}

/// The words, without their underscores and capitals.
const WORDS: [(&str, Word); 24] = [
    ("additionalmodelrequestfields", Word::Holder),
    ("bestof", Word::Count),
    ("candidatecount", Word::Count),
    ("generationconfig", Word::Holder),
    ("inferenceconfig", Word::Holder),
    ("maxcompletiontokens", Word::Length),
    ("maxgenlen", Word::Length),
    ("maxlength", Word::Length),
    ("maxnewtokens", Word::Length),
    ("maxoutputtokens", Word::Length),
    ("maxtokencount", Word::Length),
    ("maxtokens", Word::Length),
    ("maxtokenstosample", Word::Length),
    ("n", Word::Count),
    ("npredict", Word::Length),
    ("numgenerations", Word::Count),
    ("numpredict", Word::Length),
    ("numresults", Word::Count),
    ("numreturnsequences", Word::Count),
    ("options", Word::Holder),
    ("parameters", Word::Holder),
    ("samplingparams", Word::Holder),
    ("samplingparameters", Word::Holder),
    ("textgenerationconfig", Word::Holder),
];

impl Word {
    fn of(name: &str) -> Option<Self> {
        let is = |word: &str| {
            let letters = name.bytes().filter(|byte| *byte != b'_');
            letters.map(|letter| letter.to_ascii_lowercase()).eq(word.bytes())
        };
        WORDS.iter().find(|(word, _)| is(word)).map(|(_, meaning)| *meaning)
    }
}

/// Whether the path of a member leads to a bound, or to what may hold one.
pub(crate) fn is_of_bound(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or_default();
    matches!(Word::of(last), Some(Word::Length | Word::Holder))
}

impl Bounds {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            own: (!endpoint.is_chat()).then_some(Tokens(0)),
            beside: Tokens(0),
            is_unclear: false,
            choices: 1,
            choices_beside: 1,
        }
    }

    /// Takes a bound that the client's dialect has.
    pub(super) fn own(&mut self, value: &str) {
        match value.parse().map(Tokens) {
            Ok(most) => self.own = self.own.max(Some(most)),
            Err(_) => self.is_unclear |= value != "null",
        }
    }

    /// Takes a member that the client's dialect does not have, if it says something of this.
    pub(super) fn beside(&mut self, name: &str, value: &str) {
        match Word::of(name) {
            Some(Word::Length) => match count(value).map(Tokens) {
                Some(most) => self.beside = self.beside.max(most),
                None => self.is_unclear |= value != "null",
            },
            Some(Word::Count) => {
                let asked = choices(value).unwrap_or(u32::MAX);
                self.choices_beside = self.choices_beside.max(asked);
            }
            Some(Word::Holder) => {
                let inside = members(value).unwrap_or_default();
                inside.iter().for_each(|member| self.beside(&member.name, member.value));
            }
            None => {}
        }
    }

    /// The paths of members that no provider is to be sent: a bound that is none of them binds.
    pub(super) fn without(&mut self, paths: &[String]) {
        self.is_unclear |= paths.iter().any(|path| is_of_bound(path));
    }

    /// The most tokens of one answer, if all that is said bounds it.
    pub(super) fn most(&self) -> Option<Tokens> {
        self.own.filter(|_| !self.is_unclear).map(|own| own.max(self.beside))
    }

    /// The most answers to a prompt.
    pub(super) fn most_choices(&self) -> u32 {
        self.choices.max(self.choices_beside)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::parse::parse;

    /// The answers that are asked for in all, and the longest of them.
    fn most(endpoint: Endpoint, fields: &str) -> (u64, Option<u64>) {
        let prompt = endpoint.prompt_field();
        let bound = if endpoint == Endpoint::Messages { r#""max_tokens":1,"# } else { "" };
        let body = format!(r#"{{"model":"m",{bound}{fields},"{prompt}":[]}}"#);
        let request = parse(endpoint, Bytes::from(body), Some("m")).expect("a request");
        (request.answers(), request.max_output().map(|most| most.0))
    }

    #[test]
    fn words_of_a_provider_can_only_raise_what_is_known() {
        let bounded = r#""max_tokens":1,"#;
        for (said, answers, longest) in [
            (r#""options":{"num_predict":50000}"#, 1, Some(50_000)),
            (r#""extra_body":{"options":{"num_predict":50000}}"#, 1, Some(50_000)),
            (r#""options":{"num_predict":-1}"#, 1, None),
            (r#""options":{"num_ctx":4096}"#, 1, Some(1)),
            (r#""num_predict":50000"#, 1, Some(50_000)),
            (r#""n_predict":50000"#, 1, Some(50_000)),
            (r#""generationConfig":{"maxOutputTokens":50000,"topK":1}"#, 1, Some(50_000)),
            (r#""generation_config":{"max_output_tokens":"50000"}"#, 1, Some(50_000)),
            (r#""generationConfig":{"candidateCount":8}"#, 8, Some(1)),
            (r#""generationConfig":{"candidateCount":"many"}"#, u32::MAX.into(), Some(1)),
            (r#""maxOutputTokens":9,"allowed_openai_params":["maxOutputTokens"]"#, 1, Some(9)),
            (r#""max_outputTokens":9"#, 1, Some(9)),
            (r#""max_new_tokens":null"#, 1, Some(1)),
            (r#""max_new_tokens":[9]"#, 1, None),
            (r#""inferenceConfig":{"maxTokens":9}"#, 1, Some(9)),
            (r#""additionalModelRequestFields":{"max_tokens":9}"#, 1, Some(9)),
            (r#""additionalModelRequestFields":{"inferenceConfig":{"maxTokens":9}}"#, 1, Some(9)),
            (r#""max_tokens_to_sample":9"#, 1, Some(9)),
            (r#""additional_drop_params":["max_tokens"]"#, 1, None),
            (r#""additional_drop_params":["generationConfig"]"#, 1, None),
            (r#""additional_drop_params":["options.temperature"]"#, 1, Some(1)),
            (r#""additional_drop_params":["top_p"]"#, 1, Some(1)),
        ] {
            let said = format!("{bounded}{said}");
            assert_eq!(most(Endpoint::ChatCompletions, &said), (answers, longest), "{said}");
        }
        for said in [r#""options":{"num_predict":7}"#, r#""max_output_tokens":7"#] {
            assert_eq!(most(Endpoint::ChatCompletions, said), (1, None), "{said}: not everyone's");
        }
    }

    #[test]
    fn they_do_so_whatever_the_client_speaks() {
        let config = r#""generationConfig":{"maxOutputTokens":50000,"candidateCount":2}"#;
        let options = r#""options":{"num_predict":50000}"#;
        for (endpoint, said, expected) in [
            (Endpoint::Messages, config, (2, Some(50_000))),
            (Endpoint::Messages, r#""n":3"#, (3, Some(1))),
            (Endpoint::Responses, options, (1, None)),
            (Endpoint::Responses, r#""max_tokens":7"#, (1, None)),
            (Endpoint::GenerateContent, config, (2, Some(50_000))),
            (Endpoint::GenerateContent, options, (1, None)),
        ] {
            assert_eq!(most(endpoint, said), expected, "{endpoint:?} {said}");
        }
        let own = format!(r#""max_output_tokens":1,{options}"#);
        assert_eq!(most(Endpoint::Responses, &own), (1, Some(50_000)));
        let own = format!(r#""generationConfig":{{"maxOutputTokens":1}},{options}"#);
        assert_eq!(most(Endpoint::GenerateContent, &own), (1, Some(50_000)));
    }

    #[test]
    fn googles_bound_is_the_larger_of_two_spellings() {
        for said in [
            r#""generationConfig":{"maxOutputTokens":9,"max_output_tokens":1}"#,
            r#""generationConfig":{"maxOutputTokens":9},"generation_config":{"maxOutputTokens":1}"#,
        ] {
            assert_eq!(most(Endpoint::GenerateContent, said), (1, Some(9)), "{said}");
        }
    }
}
