"""AWS's own SDK, boto3, against Bedrock's API behind /bedrock, with a key of the gateway's."""

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import suite
from suite import case, holds, same

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def sdk(on, key):
    # It signs with whatever it has, and sends a bearer only over TLS: the key is in LiteLLM's header.
    client = boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=f"{on.url}/bedrock",
        aws_access_key_id="none", aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.meta.events.register(
        "before-sign.bedrock-runtime.*", lambda request, **_: request.headers.add_header("x-litellm-api-key", key)
    )
    return client


def say(text):
    return [{"role": "user", "content": [{"text": text}]}]


@case
def converse(on):
    reply = sdk(on, on.key()).converse(modelId=MODEL, messages=say("[[say:good day]]"))
    same(reply["output"]["message"]["content"][0]["text"], "good day")
    holds(reply["usage"]["outputTokens"] > 0, f"{reply['usage']}")


@case
def converse_stream(on):
    reply = sdk(on, on.key()).converse_stream(modelId=MODEL, messages=say("[[say:good day]]"))
    deltas = [event["contentBlockDelta"]["delta"] for event in reply["stream"] if "contentBlockDelta" in event]
    same("".join(delta.get("text", "") for delta in deltas), "good day")


@case
def our_name(on):
    """A model's name of ours is replaced by the provider's."""
    reply = sdk(on, on.key()).converse(modelId="bedrock", messages=say("[[say:good day]]"))
    same(reply["output"]["message"]["content"][0]["text"], "good day")


@case
def rights(on):
    """A key that may call another model only reaches none here."""
    try:
        sdk(on, on.key(models=["chat"])).converse(modelId=MODEL, messages=say("hi"))
    except ClientError as refused:
        same(refused.response["ResponseMetadata"]["HTTPStatusCode"], 403)
    else:
        raise AssertionError("it was let in")


if __name__ == "__main__":
    suite.main()
