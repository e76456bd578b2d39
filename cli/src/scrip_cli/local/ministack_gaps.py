"""What ministack 1.5.33 does not do and AWS does. On AWS nothing here is needed.

- CloudFormation on ministack creates an HTTP API but ignores its OpenAPI `Body`, which is what SAM
  turns `HttpApi` events into: no route, no authorizer, no CORS. `import_http_apis` creates them.
- ministack translates the template without the stack's parameters, with their defaults. For the
  API, `import_http_apis` translates it again with the parameters.
- Cognito on ministack never calls the pool's PostConfirmation trigger. `post_confirmation` does.
- CloudFormation on ministack makes roles without their permissions boundary. `bound_roles` sets the
  boundary that template.yaml has for the roles of all functions.
- ministack uses HTTP, which the bucket's policy rightly refuses. `allow_http` removes the policy.
- ministack's API and hosted sign-in page have other addresses than AWS's. `bring_console_home`
  configures the console, the users' page and their client for them.
- ministack refuses a template with an alarm on several metrics, and evaluates no partitions, as
  `Canary` would find. `leave_out` removes such alarms and the canary from the built template.

One gap remains: when a function processes part of a stream's batch (`batchItemFailures`), ministack
drops the rest. When the function raises, ministack retries the batch, as AWS does.

template.yaml is written for AWS. Delete a function here once ministack has caught up.
"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from samcli.yamlhelper import yaml_dump, yaml_parse

from scrip.user_pool import UserPool
from scrip_cli.errors import CommandError
from scrip_cli.local.intrinsics import Intrinsics
from scrip_cli.local.stack import REGION, STACK_NAME, LocalStack

_CANARY = {"Canary", "CanaryPolicy"}
_ANY_METHOD = "x-amazon-apigateway-any-method"
_AUTHORIZER = "x-amazon-apigateway-authorizer"
_CORS = "x-amazon-apigateway-cors"
_INTEGRATION = "x-amazon-apigateway-integration"


def leave_out(template: Path) -> None:
    """Remove the alarms on several metrics and the canary from a built template."""
    content = yaml_parse(template.read_text(encoding="utf-8"))
    content["Resources"] = {
        name: resource
        for name, resource in content["Resources"].items()
        if name not in _CANARY and not _has_metric_math(resource)
    }
    template.write_text(yaml_dump(content), encoding="utf-8")


def import_http_apis(stack: LocalStack) -> None:
    """Make every HTTP API of the deployed stack match its OpenAPI body."""
    template = yaml_parse(
        stack.client("cloudformation").get_template(StackName=STACK_NAME, TemplateStage="Original")[
            "TemplateBody"
        ]
    )
    intrinsics = _deployed_names(stack, template)
    for logical_id, resource in _translated(template, intrinsics)["Resources"].items():
        if resource["Type"] == "AWS::ApiGatewayV2::Api" and "Body" in resource["Properties"]:
            body = intrinsics.resolve(resource["Properties"]["Body"])
            _import_body(stack.client("apigatewayv2"), intrinsics.names[logical_id], body)


def bound_roles(stack: LocalStack) -> None:
    """Give the role of every function its permissions boundary."""
    described = stack.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)
    names = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in described["StackResources"]
    }
    iam = stack.client("iam")
    for resource in described["StackResources"]:
        if resource["ResourceType"] == "AWS::Lambda::Function":
            iam.put_role_permissions_boundary(
                RoleName=names[f"{resource['LogicalResourceId']}Role"],
                PermissionsBoundary=names["FunctionBoundary"],
            )


def allow_http(stack: LocalStack, bucket: str) -> None:
    """Let the stack's own functions reach a bucket without TLS."""
    stack.client("s3").delete_bucket_policy(Bucket=bucket)


def bring_console_home(stack: LocalStack) -> None:
    """Let people sign in to the console and the users' page at their addresses on this machine."""
    described = stack.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)
    names = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in described["StackResources"]
    }
    api_url = stack.api_url(names["Api"])
    UserPool(stack.client("cognito-idp"), names["UserPool"]).let_sign_in(
        names["ConsoleClient"], [f"{api_url}/console", f"{api_url}/me"]
    )
    functions = stack.client("lambda")
    function = functions.get_function_configuration(FunctionName=names["ConsoleFunction"])
    environment = function["Environment"]["Variables"] | {
        "SIGN_IN_AUTHORITY": f"{stack.endpoint_url}/{names['UserPool']}",
        "SIGN_IN_TOKEN_URL": "",
    }
    functions.update_function_configuration(
        FunctionName=names["ConsoleFunction"], Environment={"Variables": environment}
    )


def post_confirmation(
    stack: LocalStack, function: str, *, user_pool_id: str, client_id: str, user: dict[str, str]
) -> None:
    """Invoke the sign-up function with the event that Cognito sends once a user is confirmed.

    `user` has the user's attributes, with `sub`. Raises CommandError if the function fails.
    """
    event = {
        "version": "1",
        "region": REGION,
        "userPoolId": user_pool_id,
        "userName": user["sub"],
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": client_id},
        "triggerSource": "PostConfirmation_ConfirmSignUp",
        "request": {"userAttributes": {**user, "cognito:user_status": "CONFIRMED"}},
        "response": {},
    }
    answer = stack.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    if "FunctionError" in answer:
        raise CommandError(
            f"The sign-up function failed for {user['email']}.",
            f"See {stack.log_file}.",
            output=answer["Payload"].read().decode(),
        )


def _has_metric_math(resource: dict[str, Any]) -> bool:
    return resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]


def _translated(template: dict[str, Any], intrinsics: Intrinsics) -> dict[str, Any]:
    """Translate a template with SAM, using the parameters that the stack was deployed with."""
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    # It warns of a feature of AWS's own deployments, which no user of a local stack can act on.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    given = {name: intrinsics.names[name] for name in template["Parameters"]}
    sam = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    translated: dict[str, Any] = sam.translate(template, parameter_values=given)
    return translated


def _deployed_names(stack: LocalStack, template: dict[str, Any]) -> Intrinsics:
    """Collect the deployed values that the template's functions may refer to."""
    cloudformation = stack.client("cloudformation")
    described = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    account_id = described["StackId"].split(":")[4]
    names: dict[str, Any] = {
        "AWS::AccountId": account_id,
        "AWS::NoValue": None,
        "AWS::Partition": "aws",
        "AWS::Region": REGION,
        "AWS::StackId": described["StackId"],
        "AWS::StackName": STACK_NAME,
        "AWS::URLSuffix": "amazonaws.com",
    }
    for parameter in described.get("Parameters", []):
        name, value = parameter["ParameterKey"], parameter["ParameterValue"]
        is_list = template["Parameters"][name]["Type"] == "CommaDelimitedList"
        names[name] = value.split(",") if is_list else value
    resources = cloudformation.describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    for resource in resources:
        name, physical_id = resource["LogicalResourceId"], resource["PhysicalResourceId"]
        names[name] = physical_id
        if resource["ResourceType"] == "AWS::Lambda::Function":
            names[f"{name}.Arn"] = f"arn:aws:lambda:{REGION}:{account_id}:function:{physical_id}"
    return Intrinsics(names, template.get("Conditions", {}))


def _import_body(gateway: Any, api_id: str, body: dict[str, Any]) -> None:
    """Replace everything in the API with what is in the body, as an import on AWS does."""
    for route in gateway.get_routes(ApiId=api_id)["Items"]:
        gateway.delete_route(ApiId=api_id, RouteId=route["RouteId"])
    for integration in gateway.get_integrations(ApiId=api_id)["Items"]:
        gateway.delete_integration(ApiId=api_id, IntegrationId=integration["IntegrationId"])
    for authorizer in gateway.get_authorizers(ApiId=api_id)["Items"]:
        gateway.delete_authorizer(ApiId=api_id, AuthorizerId=authorizer["AuthorizerId"])
    if _CORS in body:
        gateway.update_api(ApiId=api_id, CorsConfiguration=_capitalized(body[_CORS]))

    authorizers = {
        name: _create_authorizer(gateway, api_id, name, scheme[_AUTHORIZER])
        for name, scheme in body.get("components", {}).get("securitySchemes", {}).items()
    }
    integrations: dict[str, str] = {}
    for route_key, operation in _operations(body["paths"]):
        definition = operation[_INTEGRATION]
        uri = definition["uri"]
        if uri not in integrations:
            integrations[uri] = _create_integration(gateway, api_id, definition)
        gateway.create_route(
            ApiId=api_id,
            RouteKey=route_key,
            Target=f"integrations/{integrations[uri]}",
            **_authorization(operation, authorizers),
        )


def _operations(paths: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the route key and the definition of each operation."""
    for path, methods in paths.items():
        for method, operation in methods.items():
            verb = "ANY" if method == _ANY_METHOD else method.upper()
            yield ("$default" if path == "/$default" else f"{verb} {path}"), operation


def _authorization(operation: dict[str, Any], authorizers: dict[str, str]) -> dict[str, Any]:
    """Translate an operation's `security`: SAM marks an open route with the scheme NONE."""
    for requirement in operation.get("security", []):
        for scheme, scopes in requirement.items():
            if scheme in authorizers:
                return {
                    "AuthorizationType": "JWT",
                    "AuthorizerId": authorizers[scheme],
                    "AuthorizationScopes": scopes,
                }
    return {"AuthorizationType": "NONE"}


def _create_authorizer(gateway: Any, api_id: str, name: str, definition: dict[str, Any]) -> str:
    assert definition["type"] == "jwt", "only JWT authorizers are translated"
    created = gateway.create_authorizer(
        ApiId=api_id,
        Name=name,
        AuthorizerType="JWT",
        IdentitySource=[definition["identitySource"]],
        JwtConfiguration=_capitalized(definition["jwtConfiguration"]),
    )
    return str(created["AuthorizerId"])


def _create_integration(gateway: Any, api_id: str, definition: dict[str, Any]) -> str:
    created = gateway.create_integration(
        ApiId=api_id,
        IntegrationType=definition["type"].upper(),
        IntegrationUri=definition["uri"],
        IntegrationMethod=definition["httpMethod"],
        PayloadFormatVersion=definition["payloadFormatVersion"],
    )
    return str(created["IntegrationId"])


def _capitalized(definition: dict[str, Any]) -> dict[str, Any]:
    """Turn OpenAPI's `allowOrigins` into the API's `AllowOrigins`."""
    return {key[0].upper() + key[1:]: value for key, value in definition.items()}
