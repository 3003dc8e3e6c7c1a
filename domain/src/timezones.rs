//! Time zones of the IANA database.

use std::fmt;

/// An IANA time zone, such as `Europe/Paris`.
#[derive(Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timezone(chrono_tz::Tz);

/// The text names no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an IANA time zone, such as Europe/Paris")]
pub struct TimezoneError;

impl Timezone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(chrono_tz::UTC);

    /// # Errors
    /// When no such zone exists.
    pub fn parse(name: &str) -> Result<Self, TimezoneError> {
        name.parse().map(Self).map_err(|_| TimezoneError)
    }

    /// The names of all time zones, in their order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// The name of the zone.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The zone for calculations.
    #[must_use]
    pub fn zone(self) -> chrono_tz::Tz {
        self.0
    }
}

impl fmt::Debug for Timezone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for Timezone {
    type Error = TimezoneError;
    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::parse(&name)
    }
}

impl From<Timezone> for String {
    fn from(zone: Timezone) -> Self {
        zone.name().to_owned()
    }
}
