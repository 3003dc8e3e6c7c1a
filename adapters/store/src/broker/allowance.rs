//! Whether the server gives what the budget asks for. Looked at once, at the start.

use super::StoreBroker;
use crate::{connection::Connection, connector::PostgresConnector, failure::store_error, naming::Naming};
use ::broker::Limits;
use application::ports::StoreError;
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, Statement};

/// The connections that a server gives to our role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allowance {
    /// To the role, whatever the database.
    role: u32,
    /// To everybody in the system database; `None` for no limit.
    system: Option<u32>,
    /// To everybody in that workspace's database which has the lowest limit; `None` for no limit.
    workspace: Option<u32>,
}

/// The server gives less than the settings ask for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum TooFew {
    #[error(
        "DB_MAX_CONNECTIONS is {budget}, but the server gives this role {given} connections: lower the \
         setting, raise the server's limit, or set DB_BUDGET_CLAMP=true"
    )]
    Role { budget: u32, given: u32 },
    #[error("the server gives this role {given} connections, and that is too few: {problem}")]
    Useless { given: u32, problem: String },
    #[error(
        "DB_SYSTEM_RESERVE is {reserve}, but the system database takes {given} connections: lower the \
         setting or raise the limit of the database"
    )]
    System { reserve: u32, given: u32 },
}

impl Allowance {
    async fn of_server(connection: &Connection, prefix: &str) -> Result<Self, DbErr> {
        let sql = "SELECT current_setting('max_connections')::int4 AS most, \
                   current_setting('superuser_reserved_connections')::int4 + \
                   COALESCE(current_setting('reserved_connections', true)::int4, 0) AS reserved, \
                   r.rolsuper AS superuser, r.rolconnlimit AS role, \
                   (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS system, \
                   (SELECT MIN(datconnlimit) FROM pg_database \
                    WHERE datconnlimit >= 0 AND starts_with(datname, $1)) AS workspace \
                   FROM pg_roles r WHERE r.rolname = current_user";
        let prefix = format!("{prefix}_ws_");
        let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, [prefix.into()]);
        let missing = || DbErr::RecordNotFound("the role".to_owned());
        let row = connection.query_one_raw(query).await?.ok_or_else(missing)?;
        let limit = |column: &str| -> Result<Option<u32>, DbErr> {
            let number: Option<i32> = row.try_get("", column)?;
            // Below zero is no limit.
            Ok(number.and_then(|number| u32::try_from(number).ok()))
        };
        let most = limit("most")?.unwrap_or_default();
        let role = if row.try_get("", "superuser")? {
            most
        } else {
            let others = most.saturating_sub(limit("reserved")?.unwrap_or_default());
            limit("role")?.map_or(others, |role| role.min(others))
        };
        Ok(Self { role, system: limit("system")?, workspace: limit("workspace")? })
    }

    /// The limits to use: those asked for, or smaller ones if that is wanted. `own` connections are never
    /// lent.
    fn fit(&self, asked: &Limits, own: u32, clamp: bool) -> Result<Limits, TooFew> {
        let mut limits = asked.clone();
        let (budget, given) = (asked.max_connections, self.role);
        if budget > given {
            if !clamp {
                return Err(TooFew::Role { budget, given });
            }
            limits.max_connections = given;
            limits.share = Some(asked.effective_share().min(given.saturating_sub(own)));
            if let Err(problems) = limits.validate() {
                let problem = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                return Err(TooFew::Useless { given, problem });
            }
        }
        let reserve = limits.effective_system_reserve();
        match self.system {
            Some(given) if given < reserve + own => Err(TooFew::System { reserve, given }),
            _ => Ok(limits),
        }
    }
}

impl StoreBroker {
    /// Compares the budget with what the server gives, and makes do with less if the configuration
    /// says so.
    pub(super) async fn fit_budget(&self, server: &PostgresConnector) -> Result<(), StoreError> {
        let Naming::Prefixed(prefix) = &self.naming else { return Ok(()) };
        let question = async |system: &Connection| Allowance::of_server(system, prefix).await;
        let allowance = server.maintenance().with_session(question).await.map_err(store_error)?;
        let asked = self.broker.limits();
        let fitting = allowance
            .fit(&asked, self.own, self.budget_clamp)
            .map_err(|too_few| StoreError::Internal(Box::new(too_few)))?;
        let cap = fitting.max_connections_per_workspace;
        if let Some(given) = allowance.workspace.filter(|given| *given < cap) {
            tracing::warn!(given, cap, "a workspace's database takes fewer connections than the cap");
        }
        if fitting != asked {
            tracing::warn!(
                wanted = asked.max_connections,
                budget = fitting.max_connections,
                slots = fitting.workspace_slots(),
                "the server gives fewer connections than the budget: making do with them"
            );
            self.broker.reconfigure(fitting).map_err(|e| StoreError::Internal(Box::new(e)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Place, postgres_connection};

    const PLENTY: Allowance = Allowance { role: 97, system: None, workspace: None };

    fn asked(budget: u32) -> Limits {
        Limits { max_connections: budget, share: Some(budget - 1), ..Limits::default() }
    }

    #[test]
    fn a_budget_that_can_be_had_stays_as_it_is() {
        assert_eq!(PLENTY.fit(&asked(97), 1, false), Ok(asked(97)));
    }

    #[test]
    fn a_budget_that_cannot_be_had_is_refused_with_both_numbers() {
        let refused = PLENTY.fit(&asked(98), 1, false).unwrap_err();
        assert_eq!(refused, TooFew::Role { budget: 98, given: 97 });
        assert!(refused.to_string().contains("is 98") && refused.to_string().contains("role 97"));
    }

    #[test]
    fn a_budget_that_cannot_be_had_is_lowered_on_demand() {
        let limits = PLENTY.fit(&asked(120), 1, true).unwrap();
        assert_eq!((limits.max_connections, limits.share), (97, Some(96)));
    }

    #[test]
    fn too_few_to_work_with_are_refused_in_any_case() {
        let few = Allowance { role: 19, ..PLENTY };
        assert!(matches!(few.fit(&asked(100), 1, true), Err(TooFew::Useless { given: 19, .. })));
    }

    #[test]
    fn the_system_database_must_take_the_reserve() {
        let tight = Allowance { system: Some(9), ..PLENTY };
        assert_eq!(tight.fit(&asked(97), 1, true), Err(TooFew::System { reserve: 9, given: 9 }));
        assert!(Allowance { system: Some(10), ..PLENTY }.fit(&asked(97), 1, true).is_ok());
    }

    #[tokio::test]
    async fn the_limit_of_the_role_is_found() {
        let place = Place::on_limited_postgres().await;
        let mut lease = place.store.system(crate::testing::TEST, ::broker::Access::Read).await.unwrap();
        let found = Allowance::of_server(lease.connection(), "none").await.unwrap();
        assert_eq!(found, Allowance { role: crate::testing::BUDGET, system: None, workspace: None });
    }

    #[tokio::test]
    async fn a_superuser_is_given_all() {
        let server = postgres_connection("postgres").await;
        let found = Allowance::of_server(&server, "none").await.unwrap();
        assert!(found.role >= 100, "{found:?}");
        server.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_start_stops_when_the_budget_cannot_be_had() {
        let place = Place::unprepared_postgres(20, |c| c.limits.max_connections = 30);
        let stopped = place.store.prepare().await.unwrap_err();
        let StoreError::Internal(why) = stopped else { panic!("{stopped:?}") };
        assert!(why.to_string().contains("DB_BUDGET_CLAMP"), "{why}");
    }

    #[tokio::test]
    async fn a_start_makes_do_with_less_when_told_so() {
        let place = Place::unprepared_postgres(20, |c| {
            c.limits.max_connections = 30;
            c.budget_clamp = true;
        });
        place.store.prepare().await.unwrap();
        let limits = place.store.broker.limits();
        assert_eq!((limits.max_connections, limits.share), (20, Some(19)));
    }
}
