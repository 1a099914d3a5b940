"""Configuration: presets, profiles, YAML, flags and library arguments become one checked Config."""

from anonymizer.config.documentation import Key, config_keys, config_page, said_value, value_at
from anonymizer.config.layers import LoadedConfig, all_keys, as_config_error, did_you_mean, load_config, profile_names, read_yaml, replaced
from anonymizer.config.presets import PRESETS, Preset
from anonymizer.config.schema import SHIPPED_LABELS, Config, EffectChoice, EncodingWish, TrackingChoice, config_hash
from anonymizer.config.values import Span, Zone, parse_span, parse_time, parse_zone

__all__ = [
    "PRESETS",
    "SHIPPED_LABELS",
    "Config",
    "EffectChoice",
    "EncodingWish",
    "Key",
    "LoadedConfig",
    "Preset",
    "Span",
    "TrackingChoice",
    "Zone",
    "all_keys",
    "as_config_error",
    "config_hash",
    "config_keys",
    "config_page",
    "did_you_mean",
    "load_config",
    "parse_span",
    "parse_time",
    "parse_zone",
    "profile_names",
    "read_yaml",
    "replaced",
    "said_value",
    "value_at",
]
