//! `redial send`: one call to a real server.

use core::time::Duration;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use http::{HeaderName, HeaderValue, Method, Uri};
use redial_client::{
    BuildError, Client, ClientBuilder, Error, NoTransport, Protocol, Response, Roots, Timeouts, Tls,
};
use redial_engine::{Replay, StandardPolicy};

use crate::arguments::SendArguments;
use crate::report::Report;
use crate::timeline;
use crate::transports::with_transport;
use crate::{Failure, NO_RESPONSE, USAGE, in_one_line};

/// Makes the call, shows it, and answers the exit code.
pub(crate) fn command(arguments: &SendArguments) -> Result<ExitCode, Failure> {
    let call = Call::of(arguments)?;
    let policy = policy(arguments)?;
    let tls = tls(arguments)?;
    with_transport(arguments.transport, async |builder: ClientBuilder| {
        let builder = builder.policy(policy).timeouts(timeouts(arguments));
        let client = builder.protocol(protocol(arguments)).tls(tls).build();
        let client = client.map_err(|error| unbuilt(&error))?;
        let began = Instant::now();
        let result = call.send(&client, arguments.retry_unsent).await;
        let elapsed = began.elapsed();
        anstream::eprint!("{}", timeline::draw(&result, elapsed));
        let output = show(&result, arguments.include);
        if let Some(path) = &arguments.report {
            let (transport, pool) = (client.transport(), client.pool());
            Report::new(transport, &call.shown, &result, &pool, elapsed).write(path)?;
        }
        output?;
        Ok(exit_code(&result))
    })
}

/// What is to be sent.
struct Call {
    method: Method,
    url: Uri,
    /// The URL as it may be shown.
    shown: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

impl Call {
    fn of(arguments: &SendArguments) -> Result<Self, Failure> {
        let (method, url) = match arguments.target.as_slice() {
            [method, url] => (Some(method.as_str()), url.as_str()),
            [url] => (None, url.as_str()),
            _ => return Err(Failure::usage("a URL is needed")),
        };
        let method = match (method, &arguments.data) {
            (Some(method), _) => Method::from_bytes(method.as_bytes())
                .map_err(|_| Failure::usage(format!("{method:?} is no method")))?,
            (None, Some(_)) => Method::POST,
            (None, None) => Method::GET,
        };
        let url: Uri =
            url.parse().map_err(|error| Failure::usage(format!("this is no URL: {error}")))?;
        redial_client::Origin::of(&url).map_err(|error| Failure::usage(in_one_line(&error)))?;
        let headers =
            arguments.headers.iter().map(|line| header(line)).collect::<Result<_, _>>()?;
        let body = body(arguments.data.as_deref())?;
        Ok(Self { method, shown: shown(&url), url, headers, body })
    }

    async fn send(&self, client: &Client, retry_unsent: bool) -> Result<Response, Error> {
        let mut call = client.call(self.method.clone(), self.url.to_string());
        for (name, value) in &self.headers {
            call = call.header(name.clone(), value.clone());
        }
        if retry_unsent && !self.method.is_idempotent() {
            call = call.replay(Replay::IfUnsent);
        }
        if !self.body.is_empty() {
            call = call.body(self.body.clone());
        }
        call.send().await
    }
}

/// A URL without what may be secret: its query. Credentials are refused before.
fn shown(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("http");
    let authority = url.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}{}", url.path())
}

fn header(line: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| Failure::usage(format!("{line:?} is no header: write 'Name: value'")))?;
    let name = name.trim().parse::<HeaderName>();
    let name = name.map_err(|error| Failure::usage(format!("{line:?} is no header: {error}")))?;
    let mut value = value.trim().parse::<HeaderValue>().map_err(|_| {
        Failure::usage(format!("the value of header {name} has characters that none may have"))
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn body(data: Option<&str>) -> Result<Vec<u8>, Failure> {
    match data {
        None => Ok(Vec::new()),
        Some("-") => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map_err(|error| {
                Failure::usage(format!("standard input could not be read: {error}"))
            })?;
            Ok(bytes)
        }
        Some(data) => match data.strip_prefix('@') {
            None => Ok(data.as_bytes().to_vec()),
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
        Ok(response) => write(response, with_head)
            .map_err(|error| Failure::trouble(format!("standard output: {error}"))),
        Err(error) => {
            anstream::eprintln!("redial: {}", in_one_line(error));
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
