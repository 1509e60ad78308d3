//! Names: a certificate is asked for only when the world asks the zone that it is validated in.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use insta::assert_snapshot;
use tempfile::TempDir;
use test_kit::{Finished, Step};

use crate::name_server::name_server;
use crate::support::{
    CLUSTER, NETWORK, configuration, destroy, prepare, project, request, status, step,
};

/// The name servers of every zone that LocalStack makes.
const SERVERS: [&str; 4] = [
    "ns-2048.awsdns-64.com.",
    "ns-2049.awsdns-65.net.",
    "ns-2050.awsdns-66.org.",
    "ns-2051.awsdns-67.co.uk.",
];

/// An edge that is a certificate, and something of an earlier layer.
const EDGE: &str = "\
Parameters:
  VpcId: {Type: String}
  HostedZoneId: {Type: String}
  Domain1: {Type: String}
Resources:
  Group:
    Type: AWS::EC2::SecurityGroup
    Properties: {GroupDescription: edge, VpcId: !Ref VpcId}
  Certificate:
    Type: AWS::CertificateManager::Certificate
    Properties:
      DomainName: !Ref Domain1
      ValidationMethod: DNS
      DomainValidationOptions: [{DomainName: !Ref Domain1, HostedZoneId: !Ref HostedZoneId}]
Outputs:
  ShownCertificateArn: {Value: !Ref Certificate}
";

/// Prepares a small environment with an edge.
fn named(project: &str, edge: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    say(folder.path(), project, edge);
    let zone = include_str!("../../stacks/zone.yaml");
    for (layer, template) in [("zone", zone), ("edge", EDGE)] {
        fs_err::write(folder.path().join(format!("stacks/{layer}.yaml")), template).unwrap();
    }
    folder
}

fn say(folder: &Path, project: &str, edge: &str) {
    let more = format!("    edge: {{{edge}}}\n");
    prepare(
        folder,
        &configuration(project, &more),
        Some((NETWORK, CLUSTER)),
    );
}

fn asking(folder: &Path, mode: &str, resolver: SocketAddr) -> Step {
    step(folder, mode)
        .input("stacks", "stacks")
        .input("resolver", resolver.to_string())
}

/// Starts a name server for one zone.
fn delegating(zone: &str, servers: &[&str]) -> SocketAddr {
    name_server(&BTreeMap::from([(zone, servers)]))
}

/// Makes a zone beside the action; gives its identifier.
fn make_zone(name: &str, reference: &str) -> String {
    let body = format!(
        "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
         <Name>{name}</Name><CallerReference>{reference}</CallerReference>\
         </CreateHostedZoneRequest>"
    );
    let answer = request("route53", "/2013-04-01/hostedzone", "text/xml", &body);
    let (_, rest) = answer.split_once("<Id>/hostedzone/").expect(&answer);
    rest.split_once('<').unwrap().0.to_owned()
}

fn ended(finished: &Finished) -> (i32, &str) {
    let reason = finished.outputs.get("failure-reason");
    (finished.code, reason.map_or("", String::as_str))
}

#[test]
fn a_certificate_is_not_waited_for_when_the_world_asks_another_zone() {
    let project = project("dns");
    let zone = format!("{project}.example");
    let id = make_zone(&zone, "first");
    let folder = named(&project, &format!("domains: [api.{zone}], zone: {zone}"));
    let folder = folder.path();
    let network = format!("{project}-test-network");
    let edge = format!("{project}-test-edge");
    let told = |log: &str| {
        let told = log.split_once("::error::").expect(log).1;
        told.replace(&id, "Z1").replace(&project, "shop")
    };

    let elsewhere = delegating(&zone, &["ns.old.example."]);
    let planned = asking(folder, "plan", elsewhere).run();
    assert_eq!(planned.code, 0, "{}", planned.log);
    let warning = "`apply` will be refused: the certificate for";
    assert!(planned.log.contains(warning), "{}", planned.log);
    assert!(planned.summary.contains(warning), "{}", planned.summary);
    let refused = asking(folder, "apply", elsewhere).run();
    assert_eq!(ended(&refused), (3, "refused"));
    assert_snapshot!(told(&refused.log), @"
    the certificate for `api.shop.example` would never be issued: the DNS names ns.old.example for `shop.example`, not those of the hosted zone Z1

    hint: enter these name servers for `shop.example` where the domain is registered, or as its NS records in the zone above: ns-2048.awsdns-64.com, ns-2049.awsdns-65.net, ns-2050.awsdns-66.org, ns-2051.awsdns-67.co.uk; then run again (an answer from before may be remembered for a while)
    ");

    let below = format!("api.{zone}");
    let both = BTreeMap::from([(&*zone, &SERVERS[..]), (&*below, &["ns.old.example."][..])]);
    let refused = asking(folder, "apply", name_server(&both)).run();
    assert_eq!(ended(&refused), (3, "refused"));
    assert_snapshot!(told(&refused.log), @"
    the certificate for `api.shop.example` would never be issued: the DNS names ns.old.example for `api.shop.example`, not those of the hosted zone Z1

    hint: take the NS records of `api.shop.example` away, or name the zone of that name in `infrastructure.yaml`
    ");

    let refused = asking(folder, "apply", name_server(&BTreeMap::new())).run();
    assert_eq!(ended(&refused), (3, "refused"));
    assert_snapshot!(told(&refused.log), @"
    the certificate for `api.shop.example` would never be issued: the DNS names no name servers for `shop.example`

    hint: enter these name servers for `shop.example` where the domain is registered, or as its NS records in the zone above: ns-2048.awsdns-64.com, ns-2049.awsdns-65.net, ns-2050.awsdns-66.org, ns-2051.awsdns-67.co.uk; then run again (an answer from before may be remembered for a while)
    ");

    let deaf = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let unanswered = asking(folder, "apply", deaf).run();
    assert_eq!(
        ended(&unanswered),
        (1, "remote-failed"),
        "{}",
        unanswered.log
    );
    assert_eq!(status(&network), None, "nothing is changed before");

    let right = delegating(&zone, &SERVERS);
    let again = asking(folder, "plan", right).run();
    assert!(
        again.log.contains("is delegated to its zone"),
        "{}",
        again.log
    );
    assert_eq!(again.outputs["plan-digest"], planned.outputs["plan-digest"]);
    let applied = asking(folder, "apply", right)
        .input("plan-digest", &planned.outputs["plan-digest"])
        .run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    assert!(applied.outputs["stacks"].contains("CertificateArn"));
    assert_eq!(status(&edge).as_deref(), Some("CREATE_COMPLETE"));
    // What is issued needs no answer of the DNS.
    let unchanged = asking(folder, "apply", deaf).run();
    assert_eq!(
        unchanged.outputs["outcome"], "unchanged",
        "{}",
        unchanged.log
    );
    assert_eq!(destroy(folder, &project).code, 0);
}

#[test]
fn a_zone_is_made_first_and_the_certificate_once_it_is_delegated() {
    let project = project("mz");
    let zone = format!("{project}.example");
    let folder = named(&project, &format!("domains: [{zone}], make-zone: {zone}"));
    let folder = folder.path();
    let [made, network, edge] =
        ["zone", "network", "edge"].map(|layer| format!("{project}-test-{layer}"));

    let nobody = name_server(&BTreeMap::new());
    let planned = asking(folder, "plan", nobody).run();
    assert!(
        planned.log.contains("The zone is made first."),
        "{}",
        planned.log
    );
    let stopped = asking(folder, "apply", nobody)
        .input("plan-digest", &planned.outputs["plan-digest"])
        .run();
    assert_eq!(ended(&stopped), (3, "refused"), "{}", stopped.log);
    for text in [
        "to be entered where the domain is registered: ns-2048.awsdns-64.com",
        "the DNS names no name servers",
        "ns-2051.awsdns-67.co.uk; then run again",
    ] {
        assert!(stopped.log.contains(text), "{}", stopped.log);
    }
    assert_eq!(status(&made).as_deref(), Some("CREATE_COMPLETE"));
    assert_eq!(status(&network).as_deref(), Some("CREATE_COMPLETE"));
    assert_eq!(status(&edge), None);

    let applied = asking(folder, "apply", delegating(&zone, &SERVERS)).run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    assert_eq!(status(&edge).as_deref(), Some("CREATE_COMPLETE"));
    let gone = destroy(folder, &project);
    assert!(
        gone.log
            .contains("Zone (AWS::Route53::HostedZone): leaves the stack"),
        "{}",
        gone.log
    );

    // It stays in the account, and no second one beside it is made.
    let refused = asking(folder, "apply", nobody).run();
    assert_eq!(ended(&refused), (3, "refused"), "{}", refused.log);
    let (_, hint) = refused.log.split_once("hint: ").unwrap();
    let (_, hint) = hint.split_once("`zone: ").unwrap();
    let id = hint.split_once('`').unwrap().0;
    say(folder, &project, &format!("domains: [{zone}], zone: {id}"));
    let again = asking(folder, "apply", delegating(&zone, &SERVERS)).run();
    assert_eq!(again.code, 0, "{}", again.log);
    assert_eq!(status(&made), None);
    assert_eq!(destroy(folder, &project).code, 0);
}

#[test]
fn a_zone_is_looked_up_by_its_name() {
    let project = project("lz");
    let zone = format!("{project}.example");
    let folder = named(&project, &format!("domains: [{zone}], zone: {zone}"));
    let folder = folder.path();
    let nobody = name_server(&BTreeMap::new());
    let absent = asking(folder, "plan", nobody).run();
    assert_eq!(ended(&absent), (2, "invalid-input"));
    assert!(
        absent
            .log
            .contains(&format!("have it made: `make-zone: {zone}`")),
        "{}",
        absent.log
    );
    let ids = [make_zone(&zone, "one"), make_zone(&zone, "two")];
    let several = asking(folder, "plan", nobody).run();
    assert_eq!(ended(&several), (2, "invalid-input"));
    for id in ids {
        assert!(several.log.contains(&id), "{}", several.log);
    }
    say(
        folder,
        &project,
        "domains: [api.example.org], zone: Z0000000000000",
    );
    let unknown = asking(folder, "apply", nobody).run();
    assert_eq!(ended(&unknown), (1, "remote-failed"), "{}", unknown.log);
    assert!(unknown.log.contains("NoSuchHostedZone"), "{}", unknown.log);
}
