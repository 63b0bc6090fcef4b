// Cedar itself behind as little HTTP as it takes: what `bench pdp` compares compiled policies with. A directory holds a schema, entities and
// policies, as `serve policy-decision --plain` reads them. It answers AuthZEN's evaluation and evaluations, and `/readyz`.
//
//   native-cedar DIRECTORY PORT

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicySet, Request, Schema,
};
use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::str::FromStr;
use std::sync::Arc;

type Failure = Box<dyn Error + Send + Sync>;

struct Point {
    authorizer: Authorizer,
    schema: Schema,
    policies: PolicySet,
    entities: Entities,
}

impl Point {
    fn load(directory: &str) -> Result<Point, Failure> {
        let mut text = String::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "cedar") {
                text.push_str(&fs::read_to_string(path)?);
                text.push('\n');
            }
        }
        let (schema, _) = Schema::from_cedarschema_str(&fs::read_to_string(format!("{directory}/schema.cedarschema"))?)?;
        let entities = fs::read_to_string(format!("{directory}/entities.json"))?;
        Ok(Point {
            authorizer: Authorizer::new(),
            policies: PolicySet::from_str(&text)?,
            entities: Entities::from_json_str(&entities, Some(&schema))?,
            schema,
        })
    }

    fn decide(&self, asked: &Value) -> Result<bool, Failure> {
        let action = uid("Action", &asked["action"]["name"])?;
        let context = match &asked["context"] {
            Value::Null => Context::empty(),
            given => Context::from_json_value(given.clone(), Some((&self.schema, &action)))?,
        };
        let (subject, resource) = (&asked["subject"], &asked["resource"]);
        let principal = uid(text(&subject["type"])?, &subject["id"])?;
        let resource = uid(text(&resource["type"])?, &resource["id"])?;
        let request = Request::new(principal, action, resource, context, Some(&self.schema))?;
        let answer = self.authorizer.is_authorized(&request, &self.policies, &self.entities);
        // An evaluation error denies, as it does at ours.
        let erred = answer.diagnostics().errors().next().is_some();
        Ok(answer.decision() == Decision::Allow && !erred)
    }

    fn answer(&self, path: &str, body: &[u8]) -> Value {
        let Ok(asked) = serde_json::from_slice::<Value>(body) else {
            return json!({ "decision": false });
        };
        let one = |each: &Value| json!({ "decision": self.decide(each).unwrap_or(false) });
        match (path, asked["evaluations"].as_array()) {
            ("/access/v1/evaluations", Some(all)) => json!({ "evaluations": all.iter().map(one).collect::<Vec<_>>() }),
            _ => one(&asked),
        }
    }
}

fn text(value: &Value) -> Result<&str, Failure> {
    value.as_str().ok_or_else(|| "not a text".into())
}

fn uid(name: &str, id: &Value) -> Result<EntityUid, Failure> {
    Ok(EntityUid::from_type_name_and_id(EntityTypeName::from_str(name)?, EntityId::new(text(id)?)))
}

/// Serves one connection until its client leaves it.
fn serve(point: &Point, stream: TcpStream) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
        let mut length = 0;
        loop {
            let mut field = String::new();
            reader.read_line(&mut field)?;
            let Some((name, value)) = field.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let answer = if path == "/readyz" { json!({}) } else { point.answer(&path, &body) };
        let said = serde_json::to_vec(&answer)?;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", said.len());
        writer.write_all(&[head.as_bytes(), &said].concat())?;
    }
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    let [_, directory, port] = args.as_slice() else {
        return Err("native-cedar DIRECTORY PORT".into());
    };
    let point = Arc::new(Point::load(directory)?);
    for stream in TcpListener::bind(format!("127.0.0.1:{port}"))?.incoming() {
        let (point, stream) = (Arc::clone(&point), stream?);
        std::thread::spawn(move || serve(&point, stream));
    }
    Ok(())
}
