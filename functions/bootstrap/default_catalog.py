"""The catalog that the first deployment loads into the table; afterwards admins edit it there."""

from scrip.domain.catalog import Catalog, Feature, Plan, Price, Rollover

DEFAULT_PLANS = (
    Plan(plan_id="free", name="Free", monthly_credits=100),
    Plan(
        plan_id="pro",
        name="Pro",
        monthly_credits=2_000,
        rollover=Rollover(max=1_000, periods=1),
    ),
    Plan(plan_id="unlimited", name="Unlimited", monthly_credits=0, unlimited=True),
)

DEFAULT_FEATURES = (
    Feature(feature_id="chat", name="Chat", cost=5),
    Feature(feature_id="text-to-speech", name="Text to speech", cost=10),
    Feature(feature_id="speech-to-text", name="Speech to text", cost=5),
    Feature(feature_id="image-generation", name="Image generation", cost=25),
    Feature(feature_id="pdf-chat", name="PDF chat", cost=10),
    Feature(feature_id="document-generation", name="Document generation", cost=10),
)

DEFAULT_MODELS = (
    Feature(
        feature_id="openai.gpt-6.1-sol",
        name="GPT-6.1 Sol",
        unit="token",
        meters={
            "input": Price(cost=3, per=100),
            "cached_input": Price(cost=3, per=2_000),
            "cache_write": Price(cost=3, per=80),
            "output": Price(cost=3, per=20),
            "input_image": Price(cost=3, per=100),
            "web_search": Price(cost=150),
        },
    ),
    Feature(
        feature_id="openai.gpt-6.1-sol-above-272000",
        name="GPT-6.1 Sol, input above 272000 tokens",
        unit="token",
        meters={
            "input": Price(cost=3, per=50),
            "cached_input": Price(cost=3, per=1_000),
            "cache_write": Price(cost=3, per=40),
            "output": Price(cost=9, per=40),
            "input_image": Price(cost=3, per=50),
            "web_search": Price(cost=150),
        },
    ),
    Feature(
        feature_id="anthropic.claude-sonnet-5-5",
        name="Claude Sonnet 5.5",
        unit="token",
        meters={
            "input": Price(cost=3, per=100),
            "cached_input": Price(cost=3, per=2_000),
            "cache_write": Price(cost=3, per=80),
            "cache_write_1h": Price(cost=3, per=50),
            "output": Price(cost=3, per=20),
            "web_search": Price(cost=150),
        },
    ),
    Feature(
        feature_id="google.gemini-4-argon",
        name="Gemini 4 Argon",
        unit="token",
        meters={
            "input": Price(cost=3, per=100),
            "cached_input": Price(cost=3, per=2_000),
            "output": Price(cost=3, per=20),
            "input_audio": Price(cost=3, per=100),
            "cached_input_audio": Price(cost=3, per=2_000),
            "input_image": Price(cost=3, per=100),
            "web_search": Price(cost=210),
        },
    ),
)
"""A model of each provider, as an example of meters. GPT-6.1 Sol costs more for long input.

Written from the file of `scrip prices pull --models openai:gpt-6.1-sol --models
anthropic:claude-sonnet-5-5 --models google:gemini-4-argon --credit-value 0.0001 --markup 1.5`.
"""

DEFAULT_CATALOG = Catalog(
    plans={plan.plan_id: plan for plan in DEFAULT_PLANS},
    features={feature.feature_id: feature for feature in (*DEFAULT_FEATURES, *DEFAULT_MODELS)},
)
