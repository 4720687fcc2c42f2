"""The container's files: what can be known of them without building one."""

import re
from pathlib import Path

import pytest
import yaml

from proxy.settings import overrides

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
GRAFANA = ROOT / "grafana"


def _instructions(name: str) -> list[str]:
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{name} ")]


def test_two_stages_and_the_second_has_no_installer():
    """What ends in the image is the environment and the configurations, owned by root."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]

    assert len(_instructions("FROM")) == 2
    assert "uv" not in re.findall(r"\w+", last)
    assert re.findall(r"^COPY (?!--from=build )", last, re.MULTILINE) == []


def test_it_runs_as_nobody_in_particular():
    """The user is set, by a number that is not root's, before the command."""
    assert _instructions("USER") == ["penstock"]
    assert "--uid 10001" in DOCKERFILE
    assert DOCKERFILE.index("USER penstock") < DOCKERFILE.index("ENTRYPOINT")


def test_the_installer_is_that_of_make_setup():
    """The same version of uv, and nothing that is not locked."""
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)

    assert f"uv=={version}" in DOCKERFILE
    assert all("--frozen" in line for line in _instructions("RUN") if line.startswith("uv sync"))


def test_its_variables_are_ours():
    """The address and the folder are set by variables that the settings read."""
    (last,) = (line for line in _instructions("ENV") if "PENSTOCK_HOST" in line)
    names = set(re.findall(r"(\w+)=", last)) - {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}

    assert names == {"PENSTOCK_DATA_DIR", "PENSTOCK_HOST"}
    assert names <= overrides.SERVER.keys()


def test_what_is_copied_is_let_through():
    """Whatever the wheel is made of is in the context, and what is in the context exists."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert lines[0] == "*"
    assert {"proxy", "classifiers", "margin", "simulator", "configs", "pyproject.toml", "uv.lock"} <= allowed
    assert [name for name in allowed if not (ROOT / name).exists()] == []


def test_the_proxy_may_write_to_its_folder_only():
    """The root is read-only, no capability is left, and the folder is a volume."""
    service = SERVICES["penstock"]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["volumes"] == ["penstock:/data"]
    assert service["command"] == ["serve", "--or-sandbox"]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_this_machine_s(name):
    """Nothing is published to the network."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_exist(name):
    """Each is a named one, or a path of the repository that is mounted read-only."""
    for volume in SERVICES[name]["volumes"]:
        source, _, target = volume.partition(":")
        assert source in COMPOSE["volumes"] or ((ROOT / source).exists() and target.endswith(":ro")), volume


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "penstock"])
def test_images_of_others_have_a_version(name):
    """No image is whatever is newest on the day."""
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_prometheus_scrapes_the_proxy_and_grafana_asks_prometheus():
    """The addresses are those of the services."""
    scraped = yaml.safe_load((GRAFANA / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text("utf-8"))["datasources"]

    assert [each["job_name"] for each in scraped] == ["penstock"]
    assert scraped[0]["static_configs"] == [{"targets": ["penstock:9464"]}]
    assert source["url"] == "http://prometheus:9090"


def test_grafana_finds_the_dashboards_and_lets_nobody_log_in():
    """The provisioned folder is the mounted one; whoever comes is a viewer."""
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/penstock.yaml").read_text("utf-8"))["providers"]
    grafana = SERVICES["grafana"]
    folder = provider["options"]["path"]

    assert f"./grafana/dashboards:{folder}:ro" in grafana["volumes"]
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{folder}/margin.json"
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert grafana["environment"]["GF_AUTH_BASIC_ENABLED"] == "false"
