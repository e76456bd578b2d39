"""Two users to try the local stack with, and a token for each kind of caller."""

from dataclasses import asdict, dataclass

from scrip.http.principals import ADMIN_GROUP
from scrip_cli.local.deploy import outputs
from scrip_cli.local.ministack_gaps import post_confirmation
from scrip_cli.local.stack import STACK_NAME, LocalStack
from scrip_cli.local.webhook_secrets import webhook_secrets
from scrip_cli.sign_in.pool import service_token

USER_EMAIL = "alice@example.com"
ADMIN_EMAIL = "admin@example.com"
PASSWORD = "Correct-horse-9-battery"  # noqa: S105  of two users who do not exist


@dataclass(frozen=True)
class Details:
    """Everything that a client of the local stack needs."""

    port: int
    api_url: str
    docs_url: str
    console_url: str
    user_page_url: str
    endpoint_url: str
    token_url: str
    stack_name: str
    table_name: str
    bucket_name: str
    user_pool_id: str
    client_id: str
    service_client_id: str
    service_client_secret: str
    user_token: str
    service_token: str
    admin_token: str
    accounts: dict[str, str]
    webhook_secrets: dict[str, str]

    @property
    def variables(self) -> dict[str, str]:
        """What `scrip local env` prints: environment variables by name."""
        values = asdict(self)
        accounts, secrets = values.pop("accounts"), values.pop("webhook_secrets")
        values |= {f"account_{kind}": account_id for kind, account_id in accounts.items()}
        values |= {f"webhook_secret_{provider}": secret for provider, secret in secrets.items()}
        return {f"SCRIP_{name.upper()}": str(value) for name, value in values.items()}


def sign_up_demo_users(stack: LocalStack) -> None:
    """Sign both users up as any user is, and make one of them an admin. Safe to repeat."""
    deployed = outputs(stack)
    for email in (USER_EMAIL, ADMIN_EMAIL):
        sign_up(stack, email)
    stack.client("cognito-idp").admin_add_user_to_group(
        UserPoolId=deployed["UserPoolId"], Username=ADMIN_EMAIL, GroupName=ADMIN_GROUP
    )


def details(stack: LocalStack) -> Details:
    """Gather addresses, names and fresh tokens of a running stack.

    Raises NotReadyError if it is not deployed yet.
    """
    deployed = outputs(stack)
    api_url = stack.api_url(deployed["ApiId"])
    service = stack.client("cognito-idp").describe_user_pool_client(
        UserPoolId=deployed["UserPoolId"], ClientId=deployed["ServiceClientId"]
    )["UserPoolClient"]
    return Details(
        port=stack.port,
        api_url=api_url,
        docs_url=f"{api_url}/v1/docs",
        console_url=f"{api_url}/console",
        user_page_url=f"{api_url}/me",
        endpoint_url=stack.endpoint_url,
        token_url=stack.token_url,
        stack_name=STACK_NAME,
        table_name=deployed["TableName"],
        bucket_name=deployed["BucketName"],
        user_pool_id=deployed["UserPoolId"],
        client_id=deployed["ClientId"],
        service_client_id=service["ClientId"],
        service_client_secret=service["ClientSecret"],
        user_token=user_token(stack, USER_EMAIL),
        service_token=service_token(stack.token_url, service),
        admin_token=console_token(stack, ADMIN_EMAIL),
        accounts={
            "user": _attributes(stack, deployed, USER_EMAIL)["sub"],
            "admin": _attributes(stack, deployed, ADMIN_EMAIL)["sub"],
        },
        webhook_secrets=webhook_secrets(stack),
    )


def sign_up(stack: LocalStack, email: str) -> str:
    """Sign a user up, confirm them, and return their account ID. Safe to repeat."""
    deployed = outputs(stack)
    cognito = stack.client("cognito-idp")
    pool = {"UserPoolId": deployed["UserPoolId"], "Username": email}
    try:
        cognito.sign_up(
            ClientId=deployed["ClientId"],
            Username=email,
            Password=PASSWORD,
            UserAttributes=[{"Name": "email", "Value": email}],
        )
    except cognito.exceptions.UsernameExistsException:
        # Unless an earlier run was interrupted here, the rest has been done.
        if cognito.admin_get_user(**pool)["UserStatus"] == "CONFIRMED":
            return _attributes(stack, deployed, email)["sub"]
    # A real user enters the code from the mail, which verifies the address, too.
    cognito.admin_update_user_attributes(
        **pool, UserAttributes=[{"Name": "email_verified", "Value": "true"}]
    )
    cognito.admin_confirm_sign_up(**pool)
    user = _attributes(stack, deployed, email)
    post_confirmation(
        stack,
        deployed["SignupFunction"],
        user_pool_id=deployed["UserPoolId"],
        client_id=deployed["ClientId"],
        user=user,
    )
    return user["sub"]


def user_token(stack: LocalStack, email: str) -> str:
    """Sign a demo user in to the app and return their access token."""
    deployed = outputs(stack)
    answer = stack.client("cognito-idp").initiate_auth(
        ClientId=deployed["ClientId"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": email, "PASSWORD": PASSWORD},
    )
    return str(answer["AuthenticationResult"]["AccessToken"])


def console_token(stack: LocalStack, email: str) -> str:
    """Sign a demo user in to the console, as admins do, and return their access token."""
    deployed = outputs(stack)
    answer = stack.client("cognito-idp").admin_initiate_auth(
        UserPoolId=deployed["UserPoolId"],
        ClientId=deployed["ConsoleClientId"],
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": email, "PASSWORD": PASSWORD},
    )
    return str(answer["AuthenticationResult"]["AccessToken"])


def _attributes(stack: LocalStack, deployed: dict[str, str], email: str) -> dict[str, str]:
    user = stack.client("cognito-idp").admin_get_user(
        UserPoolId=deployed["UserPoolId"], Username=email
    )
    return {item["Name"]: item["Value"] for item in user["UserAttributes"]}
