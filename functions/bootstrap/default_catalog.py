"""The catalog that the first deployment loads into the table; afterwards admins edit it there."""

from scrip.domain.catalog import Catalog, Feature, Plan, Rollover

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

DEFAULT_CATALOG = Catalog(
    plans={plan.plan_id: plan for plan in DEFAULT_PLANS},
    features={feature.feature_id: feature for feature in DEFAULT_FEATURES},
)
