//! Diagrams of small templates, and what they show.

use super::render;
use super::template::Template;

const NETWORK: &str = "\
Parameters:
  ZoneA: {Type: String, Default: ''}
  Nat: {Type: String, Default: per-zone}
  Cidr: {Type: String, Default: 10.0.0.0/24}
Conditions:
  PerZone: !Equals [!Ref Nat, per-zone]
  Given: !Not [!Equals [!Ref ZoneA, '']]
Resources:
  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: 10.0.0.0/16}}
  Gateway: {Type: 'AWS::EC2::InternetGateway'}
  Attachment:
    Type: AWS::EC2::VPCGatewayAttachment
    Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}
  PublicA:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref Vpc, CidrBlock: !Ref Cidr, AvailabilityZone: !Select [0, !GetAZs '']}
  PrivateA:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref Vpc, AvailabilityZone: !Select [0, !GetAZs '']}
  PrivateB:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref Vpc, AvailabilityZone: !Select [1, !GetAZs '']}
  NatA: {Type: 'AWS::EC2::NatGateway', Properties: {SubnetId: !Ref PublicA}}
  NatB: {Type: 'AWS::EC2::NatGateway', Condition: Given, Properties: {SubnetId: !Ref PublicA}}
  Table: {Type: 'AWS::EC2::RouteTable', Properties: {VpcId: !Ref Vpc}}
  Out:
    Type: AWS::EC2::Route
    Properties: {RouteTableId: !Ref Table, NatGatewayId: !If [PerZone, !Ref NatA, !Ref NatB]}
  TableA:
    Type: AWS::EC2::SubnetRouteTableAssociation
    Properties: {SubnetId: !Ref PrivateA, RouteTableId: !Ref Table}
  TableB:
    Type: AWS::EC2::SubnetRouteTableAssociation
    Properties: {SubnetId: !Ref PrivateB, RouteTableId: !Ref Table}
Outputs:
  SubnetIds: {Value: !Join [',', [!Ref PrivateA, !Ref PrivateB]]}
";

const DATABASE: &str = "\
Parameters: {SubnetIds: {Type: String}}
Resources:
  Key: {Type: 'AWS::KMS::Key'}
  KeyAlias: {Type: 'AWS::KMS::Alias', Properties: {TargetKeyId: !Ref Key}}
  Bucket: {Type: 'AWS::S3::Bucket', Properties: {Key: {'Fn::GetAtt': [Key, Arn]}}}
  Writer:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Statement: [{Principal: {Service: rds.amazonaws.com}}]}
      Policies: [{Resource: !Sub '${Bucket.Arn}/*'}]
  Reader:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Statement: [{Principal: {AWS: '*'}}]}
      Policies: [{Resource: !Sub ['${Name}/${!literal}', {Name: !Ref Bucket}]}]
  Database:
    Type: AWS::RDS::DBInstance
    Properties: {Role: !GetAtt Writer.Arn, Subnets: !Split [',', !Ref SubnetIds]}
  First: {Type: 'AWS::CloudWatch::Alarm', Properties: {Of: !Ref Database}}
  Second: {Type: 'AWS::CloudWatch::Alarm', Properties: {Of: !Ref Database}}
  Third: {Type: 'AWS::CloudWatch::Alarm', Properties: {Of: !Ref Database}}
  Fourth: {Type: 'AWS::CloudWatch::Alarm', Properties: {Of: !Ref Bucket}}
";

#[test]
fn stacks_vpcs_and_zones_hold_boxes_and_what_joins_them_is_arrows() {
    let templates = [
        Template::parse("database-1", DATABASE).unwrap(),
        Template::parse("network", NETWORK).unwrap(),
    ];
    insta::assert_snapshot!(render(&templates).unwrap());
}

#[test]
fn a_template_that_is_none_is_named() {
    let error = Template::parse("network", "Resources: 1").err().unwrap();
    assert_eq!(error.to_string(), "read the template `network`");
}
