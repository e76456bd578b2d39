"""Deploy a build to the running ministack, and read the stack's outputs."""

from contextlib import suppress

from botocore.exceptions import ClientError, EndpointConnectionError

from scrip_cli.errors import NotReadyError
from scrip_cli.local.build import run_sam
from scrip_cli.local.ministack_gaps import (
    allow_http,
    bound_roles,
    bring_console_home,
    import_http_apis,
)
from scrip_cli.local.stack import REGION, STACK_NAME, LocalStack, template_parameters

# A tag on the API records the sources that it was deployed from. It is set last, and saved and lost
# together with ministack's state, so it is right even if something was interrupted or killed.
_BUILD_TAG = "scrip:build"

_BUCKET = f"{STACK_NAME}-artifacts"


def is_deployed(stack: LocalStack, source_hash: str) -> bool:
    """Return whether the running stack was deployed completely from these sources."""
    try:
        arn = _api_arn(stack)
    except NotReadyError:
        return False
    tags = stack.client("apigatewayv2").get_tags(ResourceArn=arn)["Tags"]
    return bool(tags.get(_BUILD_TAG) == source_hash)


def deploy(stack: LocalStack, source_hash: str) -> None:
    """Create or update the CloudFormation stack, then what ministack leaves out of it.

    Raises CommandError, with the end of SAM's output, if it fails.
    """
    with suppress(NotReadyError):
        _mark(stack, "unfinished")
    # Not --resolve-s3: interrupted at the wrong moment, it leaves a bucket stack that SAM refuses.
    s3 = stack.client("s3")
    # A killed ministack keeps its buckets and forgets everything else.
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=_BUCKET)
    run_sam(
        stack,
        "deploy",
        *("--template-file", str(stack.build_dir / "template.yaml")),
        *("--stack-name", STACK_NAME),
        *("--s3-bucket", _BUCKET),
        *("--capabilities", "CAPABILITY_IAM"),
        "--no-confirm-changeset",
        "--no-fail-on-empty-changeset",
        # Otherwise a failed first deployment leaves a stack that can be neither updated nor used.
        *("--on-failure", "DELETE"),
        *("--parameter-overrides", *template_parameters()),
    )
    import_http_apis(stack)
    bound_roles(stack)
    allow_http(stack, outputs(stack)["BucketName"])
    bring_console_home(stack)
    _mark(stack, source_hash)


def outputs(stack: LocalStack) -> dict[str, str]:
    """Read the stack's outputs. Raises NotReadyError if no deployment has ever finished."""
    try:
        found = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)
    except EndpointConnectionError as exc:
        raise NotReadyError(stack.port) from exc
    except ClientError as exc:
        # CloudFormation's code for a stack that does not exist.
        if exc.response["Error"]["Code"] != "ValidationError":
            raise
        raise NotReadyError(stack.port) from exc
    items = found["Stacks"][0].get("Outputs")
    if not items:
        raise NotReadyError(stack.port)
    return {item["OutputKey"]: item["OutputValue"] for item in items}


def _mark(stack: LocalStack, text: str) -> None:
    stack.client("apigatewayv2").tag_resource(ResourceArn=_api_arn(stack), Tags={_BUILD_TAG: text})


def _api_arn(stack: LocalStack) -> str:
    return f"arn:aws:apigateway:{REGION}::/apis/{outputs(stack)['ApiId']}"
