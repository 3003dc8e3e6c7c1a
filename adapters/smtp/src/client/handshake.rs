//! From nothing to a session: connecting, greeting, `EHLO`, TLS, authentication.

use super::{Deadline, Offers, Session, SizeLimit};
use crate::{
    header,
    reply::Reply,
    wire::{Fault, Wire, describe},
};
use application::ports::SendError;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::{
    hosts,
    integrations::{SmtpSecurity, SmtpSettings},
    secret::Secret,
};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout_at,
};
use tokio_rustls::TlsConnector;

/// Opens sessions.
pub(crate) struct Door {
    pub connector: TlsConnector,
    pub allow_private_hosts: bool,
}

impl Door {
    /// A session with the server, announced by the name set or else by the domain of `from`.
    /// Every failure is the provider's.
    pub async fn open(
        &self,
        server: &SmtpSettings<Secret>,
        from: &str,
        deadline: &Deadline,
    ) -> Result<Session, SendError> {
        let name = client_name(server, from)?;
        let mut wire = Wire::new(self.connect(server, deadline).await?);
        if server.security == SmtpSecurity::Implicit {
            wire = self.secure(wire, server, deadline).await?;
        }
        let greeting = answer(&mut wire, "the greeting", deadline).await?;
        expect(&greeting, "not greeted", 220)?;
        let mut offers = hello(&mut wire, &name, deadline).await?;
        if server.security == SmtpSecurity::StartTls {
            if !offers.start_tls {
                return Err(unusable("the server offers no STARTTLS"));
            }
            let reply = ask(&mut wire, "STARTTLS", "the answer to STARTTLS", deadline).await?;
            expect(&reply, "STARTTLS refused", 220)?;
            wire = self.secure(wire, server, deadline).await?;
            offers = hello(&mut wire, &name, deadline).await?;
        }
        // without TLS only where the operator has chosen `SmtpSecurity::None`
        if let (Some(user), Some(password)) = (&server.username, &server.password)
            && !user.is_empty()
        {
            authenticate(&mut wire, &offers, user, password, deadline).await?;
        }
        Ok(Session { wire, offers, mails: 0, reset_due: false, broken: false })
    }

    async fn connect(
        &self,
        server: &SmtpSettings<Secret>,
        deadline: &Deadline,
    ) -> Result<TcpStream, SendError> {
        let until = deadline.step(deadline.timeouts.connect);
        let host = server.host.trim_start_matches('[').trim_end_matches(']');
        let found = timeout_at(until, lookup_host((host, server.port))).await;
        let found: Vec<SocketAddr> = match found {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(_)) => return Err(unusable("its name cannot be resolved")),
            Err(_) => return Err(unusable("timed out while resolving its name")),
        };
        let allowed: Vec<_> = found
            .iter()
            .filter(|address| self.allow_private_hosts || hosts::is_public(address.ip()))
            .collect();
        if allowed.is_empty() && !found.is_empty() {
            return Err(unusable("its address is private, which is not allowed"));
        }
        let mut reason = "its name has no address".to_owned();
        for (tried, address) in allowed.iter().enumerate() {
            // each address gets its share of the time that is left
            let left = u32::try_from(allowed.len() - tried).unwrap_or(u32::MAX);
            let now = tokio::time::Instant::now();
            let share = now + until.saturating_duration_since(now) / left;
            reason = match timeout_at(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => match stream.set_nodelay(true) {
                    Ok(()) => return Ok(stream),
                    Err(error) => describe(&error),
                },
                Ok(Err(error)) => describe(&error),
                Err(_) => "timed out".to_owned(),
            };
        }
        Err(unusable(&format!("no connection: {reason}")))
    }

    async fn secure(
        &self,
        wire: Wire,
        server: &SmtpSettings<Secret>,
        deadline: &Deadline,
    ) -> Result<Wire, SendError> {
        let host = server.host.trim_start_matches('[').trim_end_matches(']');
        let name = header::ascii_domain(host).unwrap_or_else(|| host.to_owned());
        let name = ServerName::try_from(name).map_err(|_| unusable("its name is no host name"))?;
        let until = deadline.step(deadline.timeouts.tls);
        wire.secure(&self.connector, name, until).await.map_err(|fault| match fault {
            Fault::Lost(why) => unusable(&format!("no TLS: {why}")),
            Fault::Late => unusable("no TLS: timed out"),
            Fault::Garbled => unusable("no TLS"),
        })
    }
}

/// The name after `EHLO`. It comes from settings: nothing but a host name or an address literal
/// may reach the wire.
fn client_name(server: &SmtpSettings<Secret>, from: &str) -> Result<String, SendError> {
    let literal = |name: &str| {
        name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).is_some_and(|inner| {
            let address = inner.strip_prefix("IPv6:").unwrap_or(inner);
            address.parse::<std::net::IpAddr>().is_ok()
        })
    };
    match server.ehlo_hostname.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) if literal(name) => Ok(name.to_owned()),
        Some(name) => header::ascii_domain(name).ok_or_else(|| unusable("ehlo_hostname is no host name")),
        None => Ok(from.rsplit_once('@').map_or(server.host.as_str(), |(_, domain)| domain).to_owned()),
    }
}

async fn hello(wire: &mut Wire, name: &str, deadline: &Deadline) -> Result<Offers, SendError> {
    write(wire, &format!("EHLO {name}"), deadline).await?;
    let (reply, lines) = wire
        .lines(deadline.reply())
        .await
        .map_err(|fault| unusable(&fault.while_waiting_for("the answer to EHLO")))?;
    expect(&reply, "EHLO refused", 250)?;
    Ok(Offers::read(lines.iter().skip(1).map(Vec::as_slice)))
}

impl Offers {
    fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut offers = Self::default();
        for line in lines {
            let line = String::from_utf8_lossy(line).to_ascii_uppercase();
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("8BITMIME") => offers.eight_bit = true,
                Some("SMTPUTF8") => offers.utf8 = true,
                Some("STARTTLS") => offers.start_tls = true,
                Some("SIZE") => {
                    let limit = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                    offers.size = Some(SizeLimit(limit));
                }
                Some("AUTH") => {
                    for mechanism in words {
                        offers.plain |= mechanism == "PLAIN";
                        offers.login |= mechanism == "LOGIN";
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

async fn authenticate(
    wire: &mut Wire,
    offers: &Offers,
    user: &str,
    password: &Secret,
    deadline: &Deadline,
) -> Result<(), SendError> {
    let what = "the answer to AUTH";
    let reply = if offers.plain {
        if user.contains('\0') || password.expose().contains('\0') {
            return Err(unusable("the credentials hold a zero byte"));
        }
        let token = BASE64_STANDARD.encode(format!("\0{user}\0{}", password.expose()));
        ask(wire, &format!("AUTH PLAIN {token}"), what, deadline).await?
    } else if offers.login {
        let mut reply = ask(wire, "AUTH LOGIN", what, deadline).await?;
        for answer in [user, password.expose()] {
            if reply.code == 334 {
                reply = ask(wire, &BASE64_STANDARD.encode(answer), what, deadline).await?;
            }
        }
        reply
    } else {
        return Err(unusable("the server offers neither AUTH PLAIN nor AUTH LOGIN"));
    };
    let reply = without_secrets(reply, user, password);
    expect(&reply, "authentication refused", 235)
}

/// A server that repeats what it was told must not put credentials into our reasons.
fn without_secrets(reply: Reply, user: &str, password: &Secret) -> Reply {
    let encoded = [user, password.expose()].map(|text| BASE64_STANDARD.encode(text));
    let told = [user, password.expose(), &encoded[0], &encoded[1]];
    let leaks = told.iter().any(|text| !text.is_empty() && reply.text.contains(text));
    if leaks { Reply { text: String::new(), ..reply } } else { reply }
}

async fn ask(wire: &mut Wire, command: &str, what: &str, deadline: &Deadline) -> Result<Reply, SendError> {
    write(wire, command, deadline).await?;
    answer(wire, what, deadline).await
}

async fn write(wire: &mut Wire, command: &str, deadline: &Deadline) -> Result<(), SendError> {
    let sent = wire.write(format!("{command}\r\n").as_bytes(), deadline.reply()).await;
    sent.map_err(|fault| unusable(&fault.while_waiting_for("a command was sent")))
}

async fn answer(wire: &mut Wire, what: &str, deadline: &Deadline) -> Result<Reply, SendError> {
    let reply = wire.reply(deadline.reply()).await;
    reply.map_err(|fault| unusable(&fault.while_waiting_for(what)))
}

fn expect(reply: &Reply, what: &str, code: u16) -> Result<(), SendError> {
    if reply.code == code { Ok(()) } else { Err(reply.unusable(what)) }
}

fn unusable(reason: &str) -> SendError {
    SendError::Provider { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_in_any_case_and_form() {
        let lines = ["pipelining", "SIZE 1000", "AUTH=LOGIN", "AUTH XOAUTH2 plain", "8BITMIME", "X-OTHER"];
        let offers = Offers::read(lines.iter().map(|line| line.as_bytes()));
        let wanted = Offers {
            pipelining: true,
            eight_bit: true,
            size: Some(SizeLimit(Some(1000))),
            plain: true,
            login: true,
            ..Offers::default()
        };
        assert_eq!(offers, wanted);
        assert_eq!(Offers::read([&b"SIZE 0"[..]].into_iter()).size, Some(SizeLimit(None)));
    }

    #[test]
    fn the_name_given_cannot_hold_a_command() {
        let mut server = SmtpSettings {
            host: "mx.example".to_owned(),
            port: 25,
            security: SmtpSecurity::None,
            ehlo_hostname: Some("a.example\r\nMAIL FROM:<x@y.example>".to_owned()),
            username: None,
            password: None,
        };
        assert!(client_name(&server, "a@shop.example").is_err());
        server.ehlo_hostname = Some("[192.0.2.1]".to_owned());
        assert_eq!(client_name(&server, "a@shop.example").unwrap(), "[192.0.2.1]");
        server.ehlo_hostname = Some(" ".to_owned());
        assert_eq!(client_name(&server, "a@shop.example").unwrap(), "shop.example");
    }
}
