# The network of actions/provision-infra/stacks/network.yaml, resource by resource.

terraform {
  required_providers {
    # From a folder of the benchmark.
    aws = { source = "provider.test/hashicorp/aws" }
  }
}

variable "endpoint" {
  description = "Where AWS is"
  type        = string
}

variable "region" {
  type = string
}

variable "name" {
  description = "<project>-<environment>"
  type        = string
}

variable "cidr" {
  description = "Network of the VPC, divided into sixteen"
  type        = string
  default     = "10.40.0.0/16"
}

provider "aws" {
  region                      = var.region
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true

  endpoints {
    ec2            = var.endpoint
    iam            = var.endpoint
    cloudwatchlogs = var.endpoint
    sts            = var.endpoint
  }
}

data "aws_availability_zones" "all" {
  state = "available"
}

data "aws_caller_identity" "own" {}

locals {
  zones = ["a", "b", "c"]
  tiers = {
    public      = { number = 0, tags = { "kubernetes.io/role/elb" = "1" } }
    application = { number = 1, tags = { "kubernetes.io/role/internal-elb" = "1" } }
    database    = { number = 2, tags = {} }
    admin       = { number = 3, tags = {} }
  }
  subnets = merge([
    for tier, is in local.tiers : {
      for index, zone in local.zones : "${tier}-${zone}" => {
        tier = tier
        zone = zone
        az   = data.aws_availability_zones.all.names[index]
        cidr = cidrsubnet(var.cidr, 4, is.number * 3 + index)
        tags = is.tags
      }
    }
  ]...)
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = { Name = var.name }
}

resource "aws_subnet" "all" {
  for_each                = local.subnets
  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.value.az
  cidr_block              = each.value.cidr
  map_public_ip_on_launch = false
  tags                    = merge({ Name = "${var.name}-${each.key}", Tier = each.value.tier }, each.value.tags)
}

resource "aws_internet_gateway" "this" {
  tags = { Name = var.name }
}

resource "aws_internet_gateway_attachment" "this" {
  vpc_id              = aws_vpc.this.id
  internet_gateway_id = aws_internet_gateway.this.id
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
  depends_on             = [aws_internet_gateway_attachment.this]
}

resource "aws_eip" "nat" {
  for_each   = toset(local.zones)
  vpc        = true
  tags       = { Name = "${var.name}-nat-${each.key}" }
  depends_on = [aws_internet_gateway_attachment.this]
}

resource "aws_nat_gateway" "all" {
  for_each      = toset(local.zones)
  allocation_id = aws_eip.nat[each.key].allocation_id
  subnet_id     = aws_subnet.all["public-${each.key}"].id
  tags          = { Name = "${var.name}-${each.key}" }
}

resource "aws_route_table" "private" {
  for_each = toset(local.zones)
  vpc_id   = aws_vpc.this.id
  tags     = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route" "private" {
  for_each               = toset(local.zones)
  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.all[each.key].id
}

resource "aws_route_table_association" "all" {
  for_each  = local.subnets
  subnet_id = aws_subnet.all[each.key].id
  route_table_id = (
    each.value.tier == "public" ? aws_route_table.public.id : aws_route_table.private[each.value.zone].id
  )
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${var.region}.s3"
  route_table_ids   = [for zone in local.zones : aws_route_table.private[zone].id]
}

resource "aws_cloudwatch_log_group" "flow" {
  name              = "/aws/vpc/${var.name}"
  retention_in_days = 90
}

resource "aws_iam_role" "flow" {
  name_prefix = "${var.name}-flow-"
  description = "Lets VPC flow logs write to their log group"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.own.account_id } }
    }]
  })
  tags = { Name = "${var.name}-flow-logs" }

  inline_policy {
    name = "write-flow-logs"
    policy = jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.flow.arn}:*"
      }]
    })
  }
}

resource "aws_flow_log" "vpc" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  max_aggregation_interval = 60
  log_destination_type     = "cloud-watch-logs"
  log_destination          = aws_cloudwatch_log_group.flow.arn
  iam_role_arn             = aws_iam_role.flow.arn
  tags                     = { Name = var.name }
}
