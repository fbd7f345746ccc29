//! Our own form of the table, as the head of `table.txt` explains it.

use std::str::SplitAsciiWhitespace;

use dunlin_ledger::{Kind, Premiums, Rate, Service, Sheet};
use dunlin_types::PicoUsd;

use crate::facts::{Abilities, Mode};
use crate::table::{About, Draft, TableError, Why};

const FORMAT: &str = "# dunlin-prices 1";
const VERSION: &str = "# version: ";
const SEARCHES_ONCE: &str = "searches-once";
/// How far down the format may be named.
const HEAD_LINES: usize = 10;

pub(crate) fn read(text: &str, draft: &mut Draft) -> Result<(), TableError> {
    if !text.lines().take(HEAD_LINES).any(|line| line == FORMAT) {
        return Err(TableError { line: 1, why: Why::NotATable });
    }
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(version) = text.strip_prefix(VERSION) {
            draft.version(version.trim());
        }
        if !text.starts_with('#') && !text.trim().is_empty() {
            model(text, line, draft).map_err(|why| TableError { line, why })?;
        }
    }
    Ok(())
}

fn model(text: &str, line: usize, draft: &mut Draft) -> Result<(), Why> {
    if let Some((name, of)) = text.split_once(" = ") {
        draft.alias(name.trim(), of.trim(), line);
        return Ok(());
    }
    let mut fields = text.split_ascii_whitespace();
    let mut field = || fields.next().ok_or(Why::Fields);
    let (name, provider) = (field()?, field()?);
    let own = || name.split_once('/').map(|(provider, _)| provider);
    let provider = if provider == "." {
        own().ok_or_else(|| Why::value(name, "a name with its provider in front, as `.` says"))?
    } else {
        provider
    };
    let mut about = About {
        mode: known(field()?, "a mode of LiteLLM's", Mode::named)?,
        max_input: known(field()?, "a number of tokens", |text| text.parse().ok())?,
        max_output: known(field()?, "a number of tokens", |text| text.parse().ok())?,
        abilities: known(field()?, "letters of abilities", abilities)?.unwrap_or_default(),
        ends: known(field()?, "a day, as in 2026-11-25", |text| text.parse().ok())?,
        ..About::default()
    };
    let sheet = sheet(fields)?;
    (about.searches_once, about.premiums) = (sheet.searches_once(), sheet.premiums);
    draft.row((name, line), provider, about, &sheet)
}

fn known<T>(
    text: &str,
    expected: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Why> {
    if text == "-" {
        return Ok(None);
    }
    read(text).map(Some).ok_or_else(|| Why::value(text, expected))
}

fn abilities(letters: &str) -> Option<Abilities> {
    let mut abilities = Abilities::default();
    letters.bytes().all(|letter| abilities.add(|one| one.letter == letter)).then_some(abilities)
}

fn sheet(fields: SplitAsciiWhitespace<'_>) -> Result<Sheet, Why> {
    let mut sheet = Sheet::default();
    for field in fields {
        if field == SEARCHES_ONCE {
            sheet.charge_searches_once();
            continue;
        }
        let parts = field.split_once('=');
        if let Some((word @ ("times-us" | "times-fast"), factor)) = parts {
            let factor = factor.parse().ok().and_then(Premiums::thousandths);
            let factor = factor.ok_or_else(|| Why::value(field, "a factor of 1 to 100"))?;
            match word {
                "times-us" => sheet.premiums.us = Some(factor),
                _ => sheet.premiums.fast = Some(factor),
            }
            continue;
        }
        let found = parts.and_then(|(rate, price)| Some((self::rate(rate)?, million(price)?)));
        let (rate, price) =
            found.ok_or_else(|| Why::value(field, "a rate, as in in>200k.flex=1.25"))?;
        sheet.set(rate, price);
    }
    Ok(sheet)
}

fn rate(text: &str) -> Option<Rate> {
    let (text, service) = match text.split_once('.') {
        None => (text, Service::Standard),
        Some((text, "flex")) => (text, Service::Flex),
        Some((text, "priority")) => (text, Service::Priority),
        Some((text, "batch")) => (text, Service::Batch),
        Some((text, "ultrafast")) => (text, Service::Ultrafast),
        Some(_) => return None,
    };
    let (word, above) = text.split_once('>').unwrap_or((text, "0"));
    let above = match above.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000)?,
        None => above.parse().ok()?,
    };
    Some(Rate { kind: kind(word)?, above, service })
}

fn kind(word: &str) -> Option<Kind> {
    Some(match word {
        "in" => Kind::Input,
        "read" => Kind::CacheRead,
        "read-audio" => Kind::CacheReadAudio,
        "read-image" => Kind::CacheReadImage,
        "write" => Kind::CacheWrite,
        "write1h" => Kind::CacheWrite1h,
        "write12h" => Kind::CacheWrite12h,
        "in-audio" => Kind::InputAudio,
        "in-image" => Kind::InputImage,
        "out" => Kind::Output,
        "think" => Kind::Reasoning,
        "out-audio" => Kind::OutputAudio,
        "out-image" => Kind::OutputImage,
        "in-second" => Kind::InputSecond,
        "out-second" => Kind::OutputSecond,
        "in-char" => Kind::InputCharacter,
        "out-char" => Kind::OutputCharacter,
        "in-picture" => Kind::InputPicture,
        "out-picture" => Kind::OutputPicture,
        "in-pixel" => Kind::InputPixel,
        "out-pixel" => Kind::OutputPixel,
        "query" => Kind::Query,
        "page" => Kind::Page,
        "search" => Kind::WebSearch,
        "search-low" => Kind::WebSearchLow,
        "search-high" => Kind::WebSearchHigh,
        "maps" => Kind::MapSearch,
        _ => return None,
    })
}

/// US dollars a million units, exactly: six digits behind the point at most.
fn million(text: &str) -> Option<PicoUsd> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let scale = 6_u32.checked_sub(u32::try_from(part.len()).ok()?)?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let part = if part.is_empty() { 0 } else { part.parse::<u64>().ok()? * 10_u64.pow(scale) };
    Some(PicoUsd(whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)?))
}
