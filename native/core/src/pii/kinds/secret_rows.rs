//! The secrets that are known by how they begin: a row for each, by the first letter of its prefix.

use Alphabet::{Any, Base64, Base64Url, Hex, LowerAlnum, Upper, Url};

/// What the characters behind a prefix are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// Letters and digits.
    Any,
    /// Hexadecimal digits.
    Hex,
    /// Small letters and digits.
    LowerAlnum,
    /// Capital letters and digits.
    Upper,
    /// Letters, digits, `+`, `/` and `=`.
    Base64,
    /// Letters, digits, `-` and `_`.
    Base64Url,
    /// As `Base64Url`, and `.`.
    Url,
}

impl Alphabet {
    /// Whether it has this character.
    pub fn has(self, byte: u8) -> bool {
        match self {
            Any => byte.is_ascii_alphanumeric(),
            Hex => byte.is_ascii_hexdigit(),
            LowerAlnum => byte.is_ascii_lowercase() || byte.is_ascii_digit(),
            Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
            Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
        }
    }
}

/// A secret known by its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Secret {
    /// What it is.
    pub name: &'static str,
    /// How it begins.
    pub prefix: &'static str,
    /// What follows.
    pub alphabet: Alphabet,
    /// How many characters follow at least, and at most.
    pub length: (usize, usize),
}

const fn secret(
    name: &'static str,
    prefix: &'static str,
    alphabet: Alphabet,
    least: usize,
    most: usize,
) -> Secret {
    Secret { name, prefix, alphabet, length: (least, most) }
}

/// All rows. Of two prefixes that begin alike, the longer one is listed first.
#[rustfmt::skip]
pub const SECRETS: &[Secret] = &[
    secret("age_secret_key", "AGE-SECRET-KEY-1", Upper, 58, 58),
    secret("atlassian_token", "ATATT3", Url, 60, 250),
    secret("aws_bedrock_key", "ABSK", Base64, 100, 300),
    secret("google_api_key", "AIza", Base64Url, 35, 35),
    secret("aws_access_key", "AKIA", Upper, 16, 16),
    secret("yandex_key", "AQVN", Base64Url, 35, 38),
    secret("aws_temporary_key", "ASIA", Upper, 16, 16),
    secret("artifactory_api_key", "AKC", Any, 64, 70),
    secret("telegram_bot", "AA", Base64Url, 33, 33),
    secret("twilio_account", "AC", Hex, 32, 32),
    secret("clojars_token", "CLOJARS_", LowerAlnum, 60, 60),
    secret("circleci_token", "CCIPAT_", Base64Url, 60, 70),
    secret("square_token", "EAAA", Base64Url, 60, 60),
    secret("easypost_key", "EZAK", Any, 54, 54),
    secret("easypost_test_key", "EZTK", Any, 54, 54),
    secret("facebook_token", "EAA", Any, 80, 300),
    secret("flutterwave_key", "FLWSECK", Url, 20, 48),
    secret("google_oauth_secret", "GOCSPX-", Base64Url, 28, 28),
    secret("heroku_key", "HRKU-", Base64Url, 36, 64),
    secret("alibaba_access_key", "LTAI", Any, 16, 24),
    secret("newrelic_user", "NRAK-", Upper, 27, 27),
    secret("newrelic_ingest", "NRII-", Base64Url, 32, 32),
    secret("postman_key", "PMAK-", Base64Url, 59, 60),
    secret("sendgrid_key", "SG.", Url, 60, 70),
    secret("twilio_key", "SK", Hex, 32, 32),
    secret("apify_token", "apify_api_", Any, 36, 40),
    secret("huggingface_org", "api_org_", Any, 34, 34),
    secret("terraform_cloud", "atlasv1.", Url, 60, 90),
    secret("cerebras_key", "csk-", LowerAlnum, 40, 60),
    secret("docker_hub_token", "dckr_pat_", Base64Url, 27, 40),
    secret("docker_hub_org_token", "dckr_oat_", Base64Url, 27, 40),
    secret("digitalocean_access", "doo_v1_", Hex, 64, 64),
    secret("digitalocean_token", "dop_v1_", Hex, 64, 64),
    secret("digitalocean_refresh", "dor_v1_", Hex, 64, 64),
    secret("dynatrace_token", "dt0c01.", Url, 80, 100),
    secret("duffel_token", "duffel_", Base64Url, 43, 60),
    secret("doppler_token", "dp.pt.", Any, 40, 46),
    secret("doppler_service", "dp.st.", Url, 40, 80),
    secret("databricks_token", "dapi", Hex, 32, 34),
    secret("frameio_token", "fio-u-", Base64Url, 64, 64),
    secret("figma_token", "figd_", Base64Url, 36, 60),
    secret("fly_token", "fo1_", Base64Url, 40, 60),
    secret("fly_macaroon", "fm1a_", Base64, 100, 3000),
    secret("fly_refresh", "fm1r_", Base64, 100, 3000),
    secret("fly_macaroon_2", "fm2_", Base64, 100, 3000),
    secret("github_fine_grained", "github_pat_", Base64Url, 70, 90),
    secret("gitlab_ci", "glcbt-", Url, 20, 50),
    secret("gitlab_pat", "glpat-", Url, 20, 320),
    secret("gitlab_trigger", "glptt-", Url, 40, 50),
    secret("gitlab_deploy", "gldt-", Url, 20, 50),
    secret("gitlab_runner", "glrt-", Url, 20, 320),
    secret("gitlab_agent", "glagent-", Url, 20, 60),
    secret("gitlab_mail", "glimt-", Url, 20, 60),
    secret("gitlab_oauth", "gloas-", Url, 20, 70),
    secret("gitlab_scim", "glsoat-", Url, 20, 60),
    secret("grafana_service", "glsa_", Base64Url, 41, 41),
    secret("github_oauth", "gho_", Any, 36, 40),
    secret("github_pat", "ghp_", Any, 36, 40),
    secret("github_refresh", "ghr_", Any, 36, 80),
    secret("github_server", "ghs_", Any, 36, 40),
    secret("github_app", "ghu_", Any, 36, 40),
    secret("grafana_cloud", "glc_", Base64, 32, 400),
    secret("groq_key", "gsk_", Any, 48, 56),
    secret("hashicorp_batch", "hvb.", Url, 90, 300),
    secret("hashicorp_service", "hvs.", Url, 24, 120),
    secret("huggingface_token", "hf_", Any, 30, 40),
    secret("infracost_key", "ico-", Any, 32, 32),
    secret("mailgun_key", "key-", Hex, 32, 32),
    secret("linear_key", "lin_api_", Any, 40, 40),
    secret("langsmith_key", "lsv2_pt_", Base64Url, 36, 50),
    secret("langsmith_service", "lsv2_sk_", Base64Url, 36, 50),
    secret("mailchimp_key", "md-", Base64Url, 22, 22),
    secret("nvidia_key", "nvapi-", Base64Url, 60, 70),
    secret("neon_key", "napi_", LowerAlnum, 60, 70),
    secret("npm_token", "npm_", Any, 36, 36),
    secret("notion_token", "ntn_", Any, 40, 50),
    secret("onepassword_account", "ops_eyJ", Base64, 250, 2000),
    secret("planetscale_token", "pscale_tkn_", Url, 32, 64),
    secret("planetscale_password", "pscale_pw_", Url, 32, 64),
    secret("pypi_token", "pypi-AgE", Base64Url, 50, 250),
    secret("pinecone_key", "pcsk_", Base64Url, 60, 80),
    secret("planetscale_oauth", "pscale_oauth_", Url, 32, 64),
    secret("mapbox_token", "pk.eyJ", Url, 60, 200),
    secret("perplexity_key", "pplx-", Any, 40, 56),
    secret("adobe_client_secret", "p8e-", LowerAlnum, 32, 32),
    secret("harness_token", "pat.", Url, 50, 80),
    secret("posthog_key", "phx_", Any, 40, 50),
    secret("prefect_key", "pnu_", LowerAlnum, 36, 36),
    secret("pulumi_token", "pul-", Hex, 40, 40),
    secret("airtable_token", "pat", Url, 79, 80),
    secret("rubygems_key", "rubygems_", Hex, 48, 48),
    secret("stripe_restricted", "rk_live_", Any, 16, 120),
    secret("stripe_restricted_test", "rk_test_", Any, 16, 120),
    secret("readme_key", "rdme_", LowerAlnum, 70, 70),
    secret("replicate_token", "r8_", Any, 37, 40),
    secret("anthropic_admin_key", "sk-ant-admin01-", Base64Url, 80, 120),
    secret("shippo_token", "shippo_live_", Hex, 40, 40),
    secret("openai_service", "sk-svcacct-", Base64Url, 40, 200),
    secret("sentry_org_token", "sntrys_eyJ", Base64, 80, 300),
    secret("openai_admin", "sk-admin-", Base64Url, 40, 200),
    secret("openrouter_key", "sk-or-v1-", Hex, 64, 64),
    secret("openai_project", "sk-proj-", Base64Url, 40, 200),
    secret("stripe_live", "sk_live_", Any, 16, 120),
    secret("stripe_test", "sk_test_", Any, 16, 120),
    secret("elevenlabs_key", "sk_", Hex, 48, 48),
    secret("anthropic_api_key", "sk-ant-", Base64Url, 32, 120),
    secret("sentry_user_token", "sntryu_", Hex, 64, 64),
    secret("square_access", "sq0atp-", Base64Url, 22, 22),
    secret("square_secret", "sq0csp-", Base64Url, 43, 43),
    secret("shopify_access", "shpat_", Hex, 32, 32),
    secret("shopify_custom", "shpca_", Hex, 32, 32),
    secret("shopify_private", "shppa_", Hex, 32, 32),
    secret("shopify_shared", "shpss_", Hex, 32, 32),
    secret("langfuse_key", "sk-lf-", Base64Url, 36, 36),
    secret("mapbox_secret", "sk.eyJ", Url, 60, 200),
    secret("supabase_token", "sbp_", Hex, 40, 40),
    secret("supabase_secret", "sb_secret_", Base64Url, 28, 48),
    secret("sourcegraph_token", "sgp_", Base64Url, 40, 64),
    secret("sonarqube_token", "sqp_", Hex, 40, 40),
    secret("sonarqube_user_token", "squ_", Hex, 40, 40),
    secret("openai_key", "sk-", Base64Url, 32, 200),
    secret("together_key", "tgp_v1_", Base64Url, 40, 50),
    secret("scalingo_token", "tk-us-", Base64Url, 48, 48),
    secret("tailscale_key", "tskey-", Base64Url, 20, 80),
    secret("tavily_key", "tvly-", Base64Url, 20, 50),
    secret("typeform_token", "tfp_", Url, 40, 70),
    secret("cloudflare_origin_key", "v1.0-", Url, 146, 180),
    secret("vercel_token", "vcp_", Any, 24, 60),
    secret("stripe_webhook", "whsec_", Base64, 24, 64),
    secret("brevo_key", "xkeysib-", Url, 64, 90),
    secret("slack_app", "xapp-", Base64Url, 40, 120),
    secret("slack_workspace", "xoxa-", Base64Url, 20, 120),
    secret("slack_bot", "xoxb-", Base64Url, 20, 120),
    secret("slack_browser", "xoxc-", Base64Url, 20, 160),
    secret("slack_config", "xoxe.", Url, 60, 250),
    secret("slack_config_refresh", "xoxe-", Base64Url, 100, 200),
    secret("slack_user", "xoxp-", Base64Url, 20, 120),
    secret("slack_refresh", "xoxr-", Base64Url, 20, 120),
    secret("slack_legacy", "xoxs-", Base64Url, 20, 120),
    secret("xai_key", "xai-", Any, 70, 90),
    secret("google_oauth_token", "ya29.", Url, 30, 250),
];
