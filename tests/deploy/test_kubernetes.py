"""Kubernetes manifests: valid by the published schemas, and consistent with each other and with the server."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "deploy" / "kubernetes"
FOLDERS = sorted(path.parent for path in HOME.rglob("kustomization.yaml") if "components" not in path.parts)
FILES = sorted(path for path in HOME.rglob("*.yaml") if path.name not in ("kustomization.yaml", "images.yaml"))
KUBERNETES = "1.34.0"

Document = dict[str, Any]


def name(path: Path) -> str:
    return str(path.relative_to(HOME))


def documents(path: Path) -> list[Document]:
    return [row for row in yaml.safe_load_all(path.read_text()) if row]


def built(folder: Path) -> list[Document]:
    """What kustomize makes of a folder."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [row for row in yaml.safe_load_all(done.stdout) if row]


def validate(row: Document) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="the package kubernetes-validate is not installed")
    if row["kind"] == "PyTorchJob":  # Kubeflow's own kind; the pods in it are Kubernetes'
        for replica in row["spec"]["pytorchReplicaSpecs"].values():
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": replica["template"]["spec"]}
            schemas.validate(pod, KUBERNETES, strict=True)
        return
    schemas.validate(row, KUBERNETES, strict=True)


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_kustomize_builds_what_is_valid(folder):
    rows = built(folder)
    assert rows
    for row in rows:
        validate(row)


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_what_a_kustomization_names_is_there(folder):
    (row,) = documents(folder / "kustomization.yaml")
    for other in (*row["resources"], *row.get("configurations", ())):
        path = (folder / other).resolve()
        assert path.is_file() or (path / "kustomization.yaml").is_file(), other


def pods(row: Document) -> list[Document]:
    if row["kind"] == "PyTorchJob":
        return [replica["template"]["spec"] for replica in row["spec"]["pytorchReplicaSpecs"].values()]
    return [row["spec"]["template"]["spec"]] if row["kind"] in ("Deployment", "Job") else []


ALL_PODS = [(path, pod) for path in FILES for row in documents(path) for pod in pods(row)]


@pytest.mark.parametrize(("path", "pod"), ALL_PODS, ids=lambda value: name(value) if isinstance(value, Path) else "")
def test_pods_have_few_rights_and_bounds(path, pod):
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        for variable in container.get("env", ()):
            if "KEY" in variable["name"] or "SECRET" in variable["name"]:
                assert "valueFrom" in variable, "secrets come by reference"


def test_there_is_no_secret_in_the_manifests():
    assert not [path for path in FILES for row in documents(path) if row["kind"] == "Secret"]


def test_the_server_is_asked_where_it_answers():
    from steno.serving.app import router

    (deployment,) = documents(HOME / "base" / "deployment.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    paths = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert paths <= {getattr(route, "path", "") for route in router.routes}
    (hpa,) = documents(HOME / "base" / "hpa.yaml")
    metrics = [metric["pods"]["metric"]["name"] for metric in hpa["spec"]["metrics"] if metric["type"] == "Pods"]
    from steno.serving.metrics import Metrics

    assert all(f"# TYPE {metric} gauge" in Metrics().text().decode() for metric in metrics)


def test_prometheus_finds_the_pods_and_brings_a_key(tmp_path):
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["kubernetes/overlays/cpu"],
        "components": ["kubernetes/components/prometheus"],
    }
    shutil.copytree(HOME, tmp_path / "kubernetes")
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    rows = {row["kind"]: row for row in built(tmp_path)}
    monitor, pod = rows["PodMonitor"]["spec"], rows["Deployment"]["spec"]["template"]
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    assert endpoint["path"] == "/metrics"
    assert set(endpoint["authorization"]["credentials"]) == {"name", "key"}
    others = [row["kind"] for row in built(HOME / "overlays" / "cpu")]
    assert "PodMonitor" not in others  # whoever has no operator has no such kind


def test_the_pod_outlives_the_draining_of_its_streams():
    (deployment,) = documents(HOME / "base" / "deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    drain = next(float(word.partition("=")[2]) for word in container["args"] if word.startswith("--drain-seconds="))
    assert pod["terminationGracePeriodSeconds"] > drain + container["lifecycle"]["preStop"]["sleep"]["seconds"]


def test_selectors_find_the_pods():
    for folder in ("overlays/cpu", "overlays/dev"):
        rows = {row["kind"]: row for row in built(HOME / folder)}
        labels = rows["Deployment"]["spec"]["template"]["metadata"]["labels"]
        for selector in (
            rows["Service"]["spec"]["selector"],
            rows["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
            rows["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
            rows["Deployment"]["spec"]["selector"]["matchLabels"],
        ):
            assert selector
            assert selector.items() <= labels.items()
        if "HorizontalPodAutoscaler" in rows:
            assert (
                rows["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"]
                == (rows["Deployment"]["metadata"]["name"])
            )
        for pod in pods(rows["Deployment"]):
            assert all(":" in container["image"] for container in pod["containers"])


def test_commands_of_steno_parse():
    import typer

    from steno.cli.serve import serve
    from steno.cli.train import train

    for path, pod in ALL_PODS:
        (container,) = pod["containers"]
        words = container["args"]
        command = train if "train" in words else serve
        words = words[words.index("train") + 1 :] if "train" in words else words
        app = typer.Typer()
        app.command()(command)
        typer.main.get_command(app).make_context(path.name, list(words))
