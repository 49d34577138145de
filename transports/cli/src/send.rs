//! `redial send`: one call to a real server.

use core::mem::ManuallyDrop;
use core::time::Duration;
use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use http::{HeaderName, HeaderValue, Method};
use redial::{
    BuildError, ClientBuilder, Error, NoTransport, PoolFigures, Protocol, Response, Roots,
    Timeouts, Tls,
};
use redial_engine::{Replay, StandardPolicy};
use url::Url;

use crate::arguments::SendArguments;
use crate::report::Report;
use crate::report_file::ReportFile;
use crate::streams::{tell, written};
use crate::timeline;
use crate::transports::{with_blocking, with_transport};
use crate::{Failure, NO_RESPONSE, USAGE, in_one_line};

/// The call over one of the twins: their names are the same, their types are not.
macro_rules! prepared {
    ($call:ident, $client:ident, $arguments:ident) => {{
        let Call { method, url, headers, body, .. } = &$call;
        let mut prepared = $client.call(method.clone(), url);
        for (name, value) in headers {
            prepared = prepared.header(name.clone(), value.clone());
        }
        if $arguments.retry_unsent && !method.is_idempotent() {
            prepared = prepared.replay(Replay::IfUnsent);
        }
        if !body.is_empty() {
            prepared = prepared.body(body.clone());
        }
        prepared
    }};
}

/// Makes the call, shows it, and answers the exit code.
pub(crate) fn command(arguments: &SendArguments) -> Result<ExitCode, Failure> {
    let call = Call::of(arguments)?;
    let policy = policy(arguments)?;
    let tls = tls(arguments)?;
    let report = arguments.report.as_deref().map(ReportFile::open).transpose()?;
    let done = if arguments.blocking {
        with_blocking(arguments.transport, |builder| {
            let builder = builder.policy(policy).timeouts(timeouts(arguments));
            let client = builder.protocol(protocol(arguments)).tls(tls).build();
            let client = kept(client)?;
            let began = Instant::now();
            let result = prepared!(call, client, arguments).send();
            Ok(Done { result, elapsed: began.elapsed(), pool: client.pool() })
        })
    } else {
        with_transport(arguments.transport, async |builder: ClientBuilder| {
            let builder = builder.policy(policy).timeouts(timeouts(arguments));
            let client = builder.protocol(protocol(arguments)).tls(tls).build();
            let client = kept(client)?;
            let began = Instant::now();
            let result = prepared!(call, client, arguments).send().await;
            Ok(Done { result, elapsed: began.elapsed(), pool: client.pool() })
        })
    }?;
    done.show(arguments, &call, report)
}

/// A call that was made.
struct Done {
    result: Result<Response, Error>,
    elapsed: Duration,
    pool: PoolFigures,
}

impl Done {
    /// Shows it, and answers the exit code.
    fn show(
        &self,
        arguments: &SendArguments,
        call: &Call,
        report: Option<ReportFile>,
    ) -> Result<ExitCode, Failure> {
        let Self { result, elapsed, pool } = self;
        // Of what was refused before anything was sent, there is no more to say than why.
        if !matches!(result, Err(error) if error.is_request() && error.attempts().is_empty()) {
            tell(format_args!("{}", timeline::draw(result, *elapsed)));
        }
        let output = show(result, arguments.include);
        if let Some(mut file) = report {
            let transport = arguments.transport.name();
            file.write(&Report::new(transport, &call.shown, result, pool, *elapsed))?;
        }
        output?;
        Ok(exit_code(result))
    }
}

/// What is to be sent.
struct Call {
    method: Method,
    url: String,
    /// The URL as it may be shown.
    shown: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

impl Call {
    fn of(arguments: &SendArguments) -> Result<Self, Failure> {
        let (method, url) = match arguments.target.as_slice() {
            [method, url] => (Some(utf8(method)?), utf8(url)?),
            [url] => (None, utf8(url)?),
            _ => return Err(Failure::usage("a URL is needed")),
        };
        let method = match (method, &arguments.data) {
            (Some(method), _) => {
                method.parse().map_err(|_| Failure::usage(format!("{method:?} is no method")))?
            }
            (None, Some(_)) => Method::POST,
            (None, None) => Method::GET,
        };
        let headers =
            arguments.headers.iter().map(|line| header(line)).collect::<Result<_, _>>()?;
        let body = body(arguments.data.as_deref())?;
        Ok(Self { method, shown: shown(url)?, url: url.to_owned(), headers, body })
    }
}

fn utf8(argument: &OsStr) -> Result<&str, Failure> {
    // What it says instead is not shown: a URL can have secrets in it.
    argument.to_str().ok_or_else(|| Failure::usage("a method or URL is not UTF-8"))
}

/// A URL without what may be secret: credentials and query. Whether it can be called is the
/// client's to say.
fn shown(text: &str) -> Result<String, Failure> {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(Failure::usage("this is no URL: it begins with neither http:// nor https://"));
    }
    let url =
        Url::parse(text).map_err(|error| Failure::usage(format!("this is no URL: {error}")))?;
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    Ok(format!("{}://{host}{port}{}", url.scheme(), url.path()))
}

/// A header that was written as in HTTP. What cannot be one is not shown beyond its name: values
/// can be secret.
fn header(line: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| Failure::usage("a header has no colon: write 'Name: value'"))?;
    let name = name
        .parse::<HeaderName>()
        .map_err(|error| Failure::usage(format!("{name:?} is no header's name: {error}")))?;
    // Line breaks stay, and are refused: who has them in a header may be led to send two (R-X-1).
    let mut value = value.trim_matches([' ', '\t']).parse::<HeaderValue>().map_err(|_| {
        Failure::usage(format!("the value of header {name} has characters that none may have"))
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn body(data: Option<&str>) -> Result<Vec<u8>, Failure> {
    match data {
        None => Ok(Vec::new()),
        Some("-" | "@-") => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map_err(|error| {
                Failure::usage(format!("standard input could not be read: {error}"))
            })?;
            Ok(bytes)
        }
        Some(data) => match data.strip_prefix('@') {
            None => Ok(data.as_bytes().to_vec()),
            Some("") => Err(Failure::usage("no file is named behind the @ of --data")),
            Some(file) => std::fs::read(file)
                .map_err(|error| Failure::usage(format!("{file} could not be read: {error}"))),
        },
    }
}

fn policy(arguments: &SendArguments) -> Result<StandardPolicy, Failure> {
    let mut policy = StandardPolicy::builder().max_attempts(arguments.max_attempts);
    for status in &arguments.retry_statuses {
        policy = policy.retry_status(*status);
    }
    if let Some(timeout) = arguments.attempt_timeout {
        policy = policy.attempt_timeout(timeout);
    }
    if let Some(timeout) = arguments.call_timeout {
        policy = policy.call_timeout(timeout);
    }
    policy.build().map_err(|error| Failure::usage(in_one_line(&error)))
}

fn timeouts(arguments: &SendArguments) -> Timeouts {
    let set = |timeout: &mut Duration, value: Option<Duration>| {
        if let Some(value) = value {
            *timeout = value;
        }
    };
    let mut timeouts = Timeouts::DEFAULT;
    set(&mut timeouts.connect, arguments.connect_timeout);
    set(&mut timeouts.read, arguments.read_timeout);
    set(&mut timeouts.write, arguments.write_timeout);
    set(&mut timeouts.pool, arguments.pool_timeout);
    timeouts
}

const fn protocol(arguments: &SendArguments) -> Protocol {
    if arguments.http1 {
        Protocol::Http1
    } else if arguments.http2_prior_knowledge {
        Protocol::Http2PriorKnowledge
    } else {
        Protocol::Negotiated
    }
}

fn tls(arguments: &SendArguments) -> Result<Tls, Failure> {
    let mut tls = Tls::default();
    if let Some(path) = &arguments.cacert {
        let pem = std::fs::read(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        tls.roots = Roots::Pem(pem);
    }
    Ok(tls)
}

/// A client that stays to the end of the process. To drop it may be to wait for what its transport
/// still does for a call that is over, such as a name that nobody answers.
fn kept<C>(client: Result<C, BuildError>) -> Result<ManuallyDrop<C>, Failure> {
    client.map(ManuallyDrop::new).map_err(|error| unbuilt(&error))
}

/// What the command line asked for cannot be had, or the machine stands in the way.
fn unbuilt(error: &BuildError) -> Failure {
    match error {
        BuildError::Transport(NoTransport::Settings(_)) => Failure::usage(in_one_line(error)),
        BuildError::Transport(_) | BuildError::Randomness(_) | _ => {
            Failure::trouble(in_one_line(error))
        }
    }
}

/// Writes the response to standard output, or the error to standard error.
fn show(result: &Result<Response, Error>, with_head: bool) -> Result<(), Failure> {
    match result {
        Ok(response) => {
            if !response.is_complete() {
                // Whoever reads the body cannot see that.
                tell(format_args!("redial: the body is not whole, its rest did not come\n"));
            }
            written(write(response, with_head))
        }
        Err(error) => {
            tell(format_args!("redial: {}\n", in_one_line(error)));
            Ok(())
        }
    }
}

fn write(response: &Response, with_head: bool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if with_head {
        writeln!(output, "{:?} {}\r", response.version(), response.status())?;
        for (name, value) in response.headers() {
            write!(output, "{name}: ")?;
            output.write_all(value.as_bytes())?;
            output.write_all(b"\r\n")?;
        }
        output.write_all(b"\r\n")?;
    }
    output.write_all(response.body())?;
    output.flush()
}

fn exit_code(result: &Result<Response, Error>) -> ExitCode {
    match result {
        Ok(response) if response.status().as_u16() < 400 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) if error.is_request() => ExitCode::from(USAGE),
        Err(_) => ExitCode::from(NO_RESPONSE),
    }
}
