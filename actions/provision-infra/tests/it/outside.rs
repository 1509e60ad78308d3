//! What controllers make outside of the stacks, on LocalStack: planned, refused, removed, and
//! nothing of another cluster touched.

use std::path::Path;

use insta::assert_snapshot;
use tempfile::TempDir;
use test_kit::Finished;

use crate::support::{between, call, configuration, prepare, project, send, status, step};

/// A network with a place for what the cluster makes.
const NETWORK: &str = "\
Parameters: {VpcCidr: {Type: String}}
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !Ref VpcCidr}}
  Subnet:
    Type: AWS::EC2::Subnet
    Properties: {CidrBlock: 10.40.0.0/24, VpcId: !Ref Vpc}
Outputs:
  VpcId: {Value: !Ref Vpc}
  SubnetId: {Value: !Ref Subnet}
";
/// The layer of backups: a bucket that outlives it.
const DATA: &str = "\
Resources:
  WalBucket: {Type: AWS::S3::Bucket, DeletionPolicy: Retain}
Outputs:
  WalBucketName: {Value: !Ref WalBucket}
";
/// A cluster that machines and volumes do not need.
const CLUSTER: &str = "\
Parameters: {VpcId: {Type: String}}
Resources:
  Nodes:
    Type: AWS::EC2::SecurityGroup
    Properties: {GroupDescription: nodes, VpcId: !Ref VpcId}
";

/// Calls EC2; gives what the answer says between `start` and the next tag.
fn ec2(query: &str, start: &str) -> String {
    let answer = call("ec2", &format!("Version=2016-11-15&{query}"));
    between(&answer, start).unwrap_or_else(|| panic!("{query}: {answer}"))
}

fn balancing(query: &str, start: &str) -> String {
    let query = format!("Version=2015-12-01&{query}");
    let answer = call("elasticloadbalancing", &query);
    between(&answer, start).unwrap_or_else(|| panic!("{query}: {answer}"))
}

/// Says whether EC2 or the load balancers know something.
fn exists(id: &str) -> bool {
    let (service, version, action) = match id.split_once('-') {
        Some(("vol", _)) => ("ec2", "2016-11-15", "DescribeVolumes&VolumeId.1"),
        Some(("snap", _)) => ("ec2", "2016-11-15", "DescribeSnapshots&SnapshotId.1"),
        Some(("eni", _)) => (
            "ec2",
            "2016-11-15",
            "DescribeNetworkInterfaces&NetworkInterfaceId.1",
        ),
        Some(("sg", _)) => ("ec2", "2016-11-15", "DescribeSecurityGroups&GroupId.1"),
        _ if id.contains(":targetgroup/") => (
            "elasticloadbalancing",
            "2015-12-01",
            "DescribeTargetGroups&TargetGroupArns.member.1",
        ),
        _ => (
            "elasticloadbalancing",
            "2015-12-01",
            "DescribeLoadBalancers&LoadBalancerArns.member.1",
        ),
    };
    let answer = call(service, &format!("Version={version}&Action={action}={id}"));
    assert!(
        answer.starts_with("HTTP/1.1 200") || answer.contains("NotFound"),
        "{answer}"
    );
    answer.starts_with("HTTP/1.1 200")
}

fn tags(kind: &str, tags: &[(&str, &str)]) -> String {
    let tags = (1..).zip(tags).map(|(place, (key, value))| {
        let tag = format!("&TagSpecification.1.Tag.{place}");
        format!("{tag}.Key={key}{tag}.Value={value}")
    });
    let tags: Vec<String> = tags.collect();
    format!("&TagSpecification.1.ResourceType={kind}{}", tags.concat())
}

/// What controllers made for one cluster.
pub(crate) struct Made {
    pub(crate) volume: String,
    pub(crate) snapshot: String,
    groups: [String; 2],
    interface: String,
    balancer: String,
    targets: String,
}

impl Made {
    /// Makes one of each, with the tags that controllers set.
    pub(crate) fn by_cluster(cluster: &str, vpc: &str, subnet: &str) -> Self {
        let owned = format!("kubernetes.io/cluster/{cluster}");
        let driver = [("ebs.csi.aws.com/cluster", "true"), (&*owned, "owned")];
        let claim = [
            driver[0],
            driver[1],
            ("CSIVolumeName", "pvc-1"),
            ("kubernetes.io/created-for/pvc/namespace", "shop"),
            ("kubernetes.io/created-for/pvc/name", "data-db-0"),
        ];
        let zone = "AvailabilityZone=eu-west-1a";
        let volume = ec2(
            &format!(
                "Action=CreateVolume&Size=20&{zone}{}",
                tags("volume", &claim)
            ),
            "<volumeId>",
        );
        let copy = [driver[0], driver[1], ("CSIVolumeSnapshotName", "snap-1")];
        let copy = tags("snapshot", &copy);
        let snapshot = ec2(
            &format!("Action=CreateSnapshot&VolumeId={volume}{copy}"),
            "<snapshotId>",
        );
        let own = [("elbv2.k8s.aws/cluster", cluster)];
        let group = |name: &str| {
            let tags = tags("security-group", &own);
            let query = format!("GroupName=k8s-{name}&GroupDescription=k8s&VpcId={vpc}{tags}");
            ec2(&format!("Action=CreateSecurityGroup&{query}"), "<groupId>")
        };
        let groups = [group("backend"), group("frontend")];
        // Each lets the members of the other in: neither can go first.
        for (inner, outer) in [(&groups[0], &groups[1]), (&groups[1], &groups[0])] {
            let rule = format!(
                "IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&\
                 IpPermissions.1.ToPort=80&IpPermissions.1.Groups.1.GroupId={outer}"
            );
            ec2(
                &format!("Action=AuthorizeSecurityGroupIngress&GroupId={inner}&{rule}"),
                "<return>",
            );
        }
        let pods = [
            ("cluster.k8s.amazonaws.com/name", cluster),
            ("node.k8s.amazonaws.com/instance_id", "i-1"),
        ];
        let pods = tags("network-interface", &pods);
        let interface = ec2(
            &format!("Action=CreateNetworkInterface&SubnetId={subnet}{pods}"),
            "<networkInterfaceId>",
        );
        let tags = format!(
            "Tags.member.1.Key=elbv2.k8s.aws/cluster&Tags.member.1.Value={cluster}&\
             Tags.member.2.Key=service.k8s.aws/stack&Tags.member.2.Value=shop/api"
        );
        let name = format!("k8s-{cluster}");
        let balancer = balancing(
            &format!(
                "Action=CreateLoadBalancer&Name={name}&Type=network&Subnets.member.1={subnet}&{tags}"
            ),
            "<LoadBalancerArn>",
        );
        let targets = balancing(
            &format!(
                "Action=CreateTargetGroup&Name={name}&Protocol=TCP&Port=80&VpcId={vpc}&{tags}"
            ),
            "<TargetGroupArn>",
        );
        let forward = format!(
            "DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={targets}"
        );
        balancing(
            &format!(
                "Action=CreateListener&LoadBalancerArn={balancer}&Protocol=TCP&Port=80&{forward}"
            ),
            "<ListenerArn>",
        );
        Self {
            volume,
            snapshot,
            groups,
            interface,
            balancer,
            targets,
        }
    }

    fn all(&self) -> [&String; 7] {
        let [backend, frontend] = &self.groups;
        let (volume, snapshot) = (&self.volume, &self.snapshot);
        let network = [&self.interface, &self.balancer, &self.targets];
        let [interface, balancer, targets] = network;
        [
            volume, snapshot, backend, frontend, interface, balancer, targets,
        ]
    }

    /// Says what of it there is yet.
    pub(crate) fn remaining(&self) -> Vec<&String> {
        self.all().into_iter().filter(|id| exists(id)).collect()
    }

    /// Puts words in the place of what every run has other ones of.
    fn hide(&self, text: &str) -> String {
        let names = [
            "VOLUME",
            "SNAPSHOT",
            "GROUP",
            "GROUP",
            "INTERFACE",
            "BALANCER",
            "TARGETS",
        ];
        let pairs = self.all().into_iter().zip(names);
        pairs.fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
    }
}

/// An environment with what its cluster made outside of the stacks.
pub(crate) struct Environment {
    pub(crate) folder: TempDir,
    pub(crate) name: String,
    pub(crate) made: Made,
}

impl Environment {
    pub(crate) fn new(tag: &str) -> Self {
        let (folder, project) = (TempDir::new().unwrap(), project(tag));
        let templates = Some((NETWORK, CLUSTER));
        prepare(folder.path(), &configuration(&project, ""), templates);
        fs_err::write(folder.path().join("stacks/data.yaml"), DATA).unwrap();
        let name = format!("{project}-test");
        let made = make(folder.path(), &name);
        Self { folder, name, made }
    }

    /// Makes what was destroyed again.
    pub(crate) fn live(&mut self) {
        self.made = make(self.folder.path(), &self.name);
    }

    /// Destroys it, with all that holds data named.
    pub(crate) fn destroy(&self) -> Finished {
        self.destroy_naming(&[&self.name, &self.made.volume, &self.made.snapshot])
    }

    fn destroy_naming(&self, names: &[&str]) -> Finished {
        let step = step(self.folder.path(), "destroy").input("stacks", "stacks");
        step.input("confirm-destroy", names.join("\n")).run()
    }
}

/// Makes the stacks, and what their cluster makes.
fn make(folder: &Path, name: &str) -> Made {
    let applied = step(folder, "apply").input("stacks", "stacks").run();
    assert_eq!(applied.code, 0, "{}", applied.log);
    let network = format!("{name}-network");
    let output = |name| output(&applied, &network, name);
    Made::by_cluster(name, &output("VpcId"), &output("SubnetId"))
}

fn output(applied: &Finished, stack: &str, name: &str) -> String {
    let stacks: serde_json::Value = serde_json::from_str(&applied.outputs["stacks"]).unwrap();
    stacks[stack][name].as_str().unwrap().to_owned()
}

/// Makes what a cluster makes, in a network that no stack holds.
pub(crate) fn in_another_network(cluster: &str) -> Made {
    let vpc = ec2("Action=CreateVpc&CidrBlock=10.50.0.0/16", "<vpcId>");
    let subnet = format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.50.0.0/24");
    Made::by_cluster(cluster, &vpc, &ec2(&subnet, "<subnetId>"))
}

#[test]
fn what_the_cluster_left_behind_goes_and_nothing_else() {
    let environment = Environment::new("oa");
    let (folder, made) = (environment.folder.path(), &environment.made);
    // Its name begins in the same way.
    let neighbour = in_another_network(&format!("{}-b", environment.name));
    let show = |text: &str| made.hide(text).replace(&environment.name, "shop-test");

    let shown = step(folder, "destroy").input("stacks", "stacks").run();
    assert_eq!(shown.outputs["outcome"], "planned", "{}", shown.log);
    let start = shown.stdout.find("Plan for").unwrap();
    assert_snapshot!(show(&without_digest(&shown.stdout[start..])), @r#"
    Plan for shop-test: 14 to delete
      shop-test-cluster
        - delete Nodes (AWS::EC2::SecurityGroup)
        - delete shop-test-cluster (AWS::CloudFormation::Stack): the stack itself
      outside of the stacks
        - delete k8s-shop-test (AWS::ElasticLoadBalancingV2::LoadBalancer): made for shop/api; tag elbv2.k8s.aws/cluster=shop-test
        - delete k8s-shop-test (AWS::ElasticLoadBalancingV2::TargetGroup): made for shop/api; tag elbv2.k8s.aws/cluster=shop-test
        - delete INTERFACE (AWS::EC2::NetworkInterface): tag cluster.k8s.amazonaws.com/name=shop-test
        - delete GROUP (AWS::EC2::SecurityGroup): tag elbv2.k8s.aws/cluster=shop-test
        - delete GROUP (AWS::EC2::SecurityGroup): tag elbv2.k8s.aws/cluster=shop-test
        - delete SNAPSHOT (AWS::EC2::Snapshot): CANNOT BE UNDONE; a copy of 20 GiB; tag kubernetes.io/cluster/shop-test=owned
        - delete VOLUME (AWS::EC2::Volume): CANNOT BE UNDONE; 20 GiB of the claim shop/data-db-0; tag kubernetes.io/cluster/shop-test=owned
      shop-test-data
        - delete WalBucket (AWS::S3::Bucket): leaves the stack, stays in the account
        - delete shop-test-data (AWS::CloudFormation::Stack): the stack itself
      shop-test-network
        - delete Subnet (AWS::EC2::Subnet)
        - delete Vpc (AWS::EC2::VPC): CANNOT BE UNDONE
        - delete shop-test-network (AWS::CloudFormation::Stack): the stack itself
    Usually takes about 6 min.
    To destroy it, set
    confirm-destroy: |
      shop-test
      SNAPSHOT
      VOLUME
    "#);
    assert!(
        shown.summary.contains(&format!(
            "| - delete | {} | AWS::EC2::Volume | CANNOT BE UNDONE; 20 GiB of the claim shop/data-db-0;",
            made.volume
        )),
        "{}",
        shown.summary
    );
    let id = |part: &serde_json::Value| part["part"] == "outside of the stacks";
    let report = shown.report.as_ref().unwrap();
    let changes = report["plan"]["changes"].as_array().unwrap();
    assert_eq!(changes.iter().filter(|change| id(change)).count(), 7);

    let refused = environment.destroy_naming(&[&environment.name, &made.snapshot]);
    assert_eq!(
        (refused.code, refused.outputs["failure-reason"].as_str()),
        (3, "refused")
    );
    let start = refused.log.find("::error::").unwrap();
    assert_snapshot!(show(refused.log[start..].trim_end()), @r#"
    ::error::`confirm-destroy` does not name what holds data%0A  VOLUME: 20 GiB of the claim shop/data-db-0

    hint: when all of it is meant, add to the lines of `confirm-destroy`:
      VOLUME
    "#);
    assert_eq!(made.remaining().len(), 7);
    let network = format!("{}-network", environment.name);
    assert_eq!(status(&network).as_deref(), Some("CREATE_COMPLETE"));

    let gone = environment.destroy();
    assert_eq!(gone.code, 0, "{}", gone.log);
    assert_eq!(made.remaining(), Vec::<&String>::new());
    assert_eq!(status(&network), None);
    let again = environment.destroy();
    assert_eq!(again.outputs["outcome"], "unchanged", "{}", again.log);
    assert_eq!(neighbour.remaining().len(), 7);
}

fn without_digest(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.contains("sha256:"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_bucket_with_backups_in_it_must_be_named_and_stays() {
    let environment = Environment::new("ob");
    let data = format!("{}-data", environment.name);
    let applied = step(environment.folder.path(), "apply").input("stacks", "stacks");
    let bucket = output(&applied.run(), &data, "WalBucketName");
    let object = format!("/{bucket}/base/1");
    let put = object_request("PUT", &object, "a backup");
    assert!(put.starts_with("HTTP/1.1 200"), "{put}");

    let refused = environment.destroy();
    assert_eq!(refused.outputs["failure-reason"], "refused");
    let said = format!("  {bucket}: backups, which stay with it");
    assert!(refused.log.contains(&said), "{}", refused.log);
    let made = &environment.made;
    let all = [&environment.name, &made.volume, &made.snapshot, &bucket];
    let gone = environment.destroy_naming(&all.map(String::as_str));
    assert_eq!(gone.code, 0, "{}", gone.log);
    assert_eq!(status(&data), None);
    let kept = object_request("GET", &object, "");
    assert!(kept.ends_with("a backup"), "{kept}");
}

#[test]
fn a_volume_that_a_machine_has_is_waited_for_and_named() {
    let environment = Environment::new("oc");
    let machine = "Action=RunInstances&ImageId=ami-12345678&MinCount=1&MaxCount=1";
    let machine = ec2(machine, "<instanceId>");
    let volume = &environment.made.volume;
    let attach = format!("VolumeId={volume}&InstanceId={machine}&Device=/dev/sdf");
    ec2(&format!("Action=AttachVolume&{attach}"), "<status>");

    let names = [&environment.name, volume, &environment.made.snapshot];
    let step = step(environment.folder.path(), "destroy").input("stacks", "stacks");
    let step = step.input("confirm-destroy", names.map(String::as_str).join("\n"));
    let held = step.input("timeout-seconds", "2").run();
    assert_eq!(
        (held.code, held.outputs["failure-reason"].as_str()),
        (1, "timed-out"),
        "{}",
        held.log
    );
    let start = held.log.find("::error::").unwrap();
    let said = environment.made.hide(held.log[start..].trim_end());
    assert_snapshot!(said.replace(&machine, "MACHINE"), @r#"
    ::error::the volume `VOLUME` cannot be deleted after 2 seconds: VolumeInUse: Volume VOLUME is currently attached to MACHINE

    hint: delete what uses it and run again, or raise `timeout-seconds` when that is going
    "#);
    assert_eq!(environment.made.remaining(), [volume]);

    let machine = format!("InstanceId.1={machine}");
    ec2(
        &format!("Action=TerminateInstances&{machine}"),
        "<instanceId>",
    );
    let gone = environment.destroy();
    assert_eq!(gone.code, 0, "{}", gone.log);
    assert!(environment.made.remaining().is_empty());
}

/// Puts an object into a bucket, or reads it; gives the whole answer.
fn object_request(method: &str, object: &str, body: &str) -> String {
    let start = format!("{method} {object}");
    let headers = [("Content-Type", "application/octet-stream")];
    send(("test", "eu-west-1"), "s3", &start, &headers, body)
}
