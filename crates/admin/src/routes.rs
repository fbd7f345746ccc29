//! What is served where, and who may ask: each endpoint says it once. Before a handler is called, the
//! caller is known, has the role that the path wants, and its key may call the path.

use axum::extract::{self, Path, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, any, on};
use axum::{RequestExt, Router};
use bytes::Bytes;
use dunlin_state::{Actor, Kind};
use dunlin_types::UnixMillis;

use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::queries;
use crate::request::received;
use crate::rights::caller::{Caller, Role};

/// A method by its name.
pub(crate) type Method = (&'static str, MethodFilter);

pub(crate) const GET: Method = ("GET", MethodFilter::GET);
pub(crate) const POST: Method = ("POST", MethodFilter::POST);
pub(crate) const PATCH: Method = ("PATCH", MethodFilter::PATCH);
pub(crate) const PUT: Method = ("PUT", MethodFilter::PUT);
pub(crate) const DELETE: Method = ("DELETE", MethodFilter::DELETE);

/// Who may ask at all. What exactly a caller may see or change, the handler finds out: see `rights`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Every key that may be used now.
    Anyone,
    /// Users who may change things: their own, their teams', and an admin everything.
    Users,
    /// Those who may see everything.
    Viewers,
    /// Those who may do everything.
    Admins,
}

impl Who {
    /// Who may ask for changes of a kind: users lead teams, and nothing else.
    pub(crate) fn changing(kind: Kind) -> Self {
        if kind == Kind::Team { Self::Users } else { Self::Admins }
    }

    fn admits(self, role: Role) -> bool {
        match self {
            Self::Anyone => true,
            Self::Users => matches!(role, Role::Admin | Role::User),
            Self::Viewers => matches!(role, Role::Admin | Role::Viewer),
            Self::Admins => matches!(role, Role::Admin),
        }
    }
}

/// A request that was let in.
pub(crate) struct Request {
    pub(crate) caller: Caller,
    /// The same, as the audit log has it.
    pub(crate) actor: Actor,
    /// The path as the endpoint has it.
    pub(crate) route: &'static str,
    /// What the path names.
    pub(crate) named: Option<String>,
    /// The query's parameters, in order.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) bytes: Bytes,
    /// When it came.
    pub(crate) at: UnixMillis,
}

impl Request {
    /// The JSON object in the body.
    pub(crate) fn body(&self) -> Result<Body, Error> {
        Ok(Body::parse(&self.bytes)?.at(self.at))
    }

    /// A parameter of the query; of several, the last one.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self.query.iter().rev().find(|(known, _)| known == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }
}

/// All routes so far, and who may ask there.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<Admin>,
    table: Vec<Route>,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// None: the whole world.
    pub(crate) who: Option<Who>,
}

/// Where and how something is done to those of a kind.
#[derive(Clone, Copy)]
pub(crate) struct OfKind {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
}

impl Routes {
    /// Serves `GET path`.
    pub(crate) fn get<F, A>(self, path: &'static str, who: Who, handle: F) -> Self
    where
        F: Fn(Admin, Request) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Error>> + Send,
    {
        self.add(GET, path, who, handle)
    }

    /// Serves `POST path`.
    pub(crate) fn post<F, A>(self, path: &'static str, who: Who, handle: F) -> Self
    where
        F: Fn(Admin, Request) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Error>> + Send,
    {
        self.add(POST, path, who, handle)
    }

    /// Adds what changes entities: one handler, for those of each kind at a place of their own.
    pub(crate) fn changing<F, A>(self, places: &[OfKind], handle: F) -> Self
    where
        F: Fn(Admin, Request, Kind) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Error>> + Send,
    {
        places.iter().fold(self, |routes, &OfKind { method, path, kind }| {
            let handle = handle.clone();
            routes.add(method, path, Who::changing(kind), move |admin, asked| {
                handle(admin, asked, kind)
            })
        })
    }

    /// Serves `path` by another method.
    pub(crate) fn add<F, A>(
        mut self,
        (method, filter): Method,
        path: &'static str,
        who: Who,
        handle: F,
    ) -> Self
    where
        F: Fn(Admin, Request) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<Response, Error>> + Send,
    {
        let served =
            on(filter, move |State(admin): State<Admin>, request: extract::Request| async move {
                let asked = enter(&admin, request, path, who).await?;
                handle(admin, asked).await
            });
        self.router = self.router.route(path, served);
        self.table.push(Route { method, path, who: Some(who) });
        self
    }

    /// Serves the whole world.
    pub(crate) fn open(self, path: &'static str, served: MethodRouter<Admin>) -> Self {
        self.reads(path, None, served)
    }

    /// Serves by a handler that itself admits the callers `who` names, and refuses in its own
    /// words.
    pub(crate) fn guarded(self, path: &'static str, who: Who, served: MethodRouter<Admin>) -> Self {
        self.reads(path, Some(who), served)
    }

    /// Answers the whole world that there is no such thing, by any method; none of the routes served.
    pub(crate) fn absent(mut self, path: &'static str, why: fn() -> Response) -> Self {
        self.router = self.router.route(path, any(async move || why()));
        self
    }

    fn reads(mut self, path: &'static str, who: Option<Who>, served: MethodRouter<Admin>) -> Self {
        self.router = self.router.route(path, served);
        self.table.push(Route { method: "GET", path, who });
        self
    }

    /// The routes and their table.
    pub(crate) fn done(self) -> (Router<Admin>, Vec<Route>) {
        (self.router, self.table)
    }
}

async fn enter(
    admin: &Admin,
    mut request: extract::Request,
    route: &'static str,
    who: Who,
) -> Result<Request, Error> {
    let caller = admin.identify(request.headers(), &[request.uri().path()]).await?;
    admitted(&caller, who, route)?;
    let actor = admin.actor(&caller, route, &request)?;
    let named = request.extract_parts::<Path<String>>().await.ok().map(|Path(named)| named);
    let (parts, body) = request.into_parts();
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    // What is not in the form of a query holds no parameters.
    let query = query.map(|query| query.0).unwrap_or_default();
    queries::check(route, &query)?;
    let bytes = received::receive(&parts.headers, body).await?;
    let at = admin.0.clock.unix();
    Ok(Request { caller, actor, route, named, query, bytes, at })
}

/// Whether the user of a caller's key may ask there.
pub(crate) fn admitted(caller: &Caller, who: Who, route: &'static str) -> Result<(), Error> {
    let Some(bearer) = caller.bearer() else { return Ok(()) };
    if who.admits(bearer.role) {
        return Ok(());
    }
    Err(Error::NotAdmin { route, role: bearer.role.name(), key: bearer.name.clone() })
}

#[cfg(test)]
mod tests;
