//! The command line.

/// Shown with every complaint about it.
pub(crate) const USAGE: &str = "\
usage: jobfleet-limit --url http://HOST:PORT [--type noop] [--lanes 32] [--polls 1] [--batch 256]
                      [--warm-up 1] [--seconds 5]";

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Host and port of the engine.
    pub(crate) authority: String,
    /// What the path of every request begins with.
    pub(crate) base: String,
    /// Job type.
    pub(crate) job_type: String,
    /// Completions on their way at once, each on a connection of its own.
    pub(crate) lanes: usize,
    /// Activations on their way at once.
    pub(crate) polls: usize,
    /// Most jobs of one activation.
    pub(crate) batch: usize,
    /// Seconds before counting begins.
    pub(crate) warm_up_s: f64,
    /// Seconds that are counted.
    pub(crate) seconds: f64,
}

impl Options {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            authority: String::new(),
            base: String::new(),
            job_type: "noop".into(),
            lanes: 32,
            polls: 1,
            batch: 256,
            warm_up_s: 1.0,
            seconds: 5.0,
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--url" => (options.authority, options.base) = split_url(&value)?,
                "--type" => options.job_type = value,
                "--lanes" => options.lanes = number(&name, &value)?,
                "--polls" => options.polls = number(&name, &value)?,
                "--batch" => options.batch = number(&name, &value)?,
                "--warm-up" => options.warm_up_s = number(&name, &value)?,
                "--seconds" => options.seconds = number(&name, &value)?,
                _ => return Err(format!("unknown option {name}")),
            }
        }
        if options.authority.is_empty() { Err("--url is missing".into()) } else { Ok(options) }
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} needs a number, not {value:?}"))
}

fn split_url(url: &str) -> Result<(String, String), String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("{url:?} does not begin with http://"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = if authority.contains(':') { authority.into() } else { format!("{authority}:80") };
    let path = path.trim_matches('/');
    Ok((authority, if path.is_empty() { "/v2".into() } else { format!("/{path}/v2") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn a_base_path_stands_before_the_version() {
        let options = parse("--url http://localhost:8080/engine/ --lanes 4").unwrap();
        assert_eq!(
            (options.authority.as_str(), options.base.as_str(), options.lanes),
            ("localhost:8080", "/engine/v2", 4)
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parse("--url https://localhost").unwrap_err().contains("http://"));
        assert!(parse("--lanes many --url http://localhost").unwrap_err().contains("many"));
        assert!(parse("--lane 3").unwrap_err().contains("--lane"));
        assert!(parse("").unwrap_err().contains("--url"));
    }
}
