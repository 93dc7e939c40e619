import importlib.util

import pytest

FACTORIES = ("mobilenet_v2", "mobilenet_v1_075", "mobilenet_v1_025")


@pytest.fixture(scope="session")
def networks(fixtures):
    """Return the three real models by name, straight from their file."""
    path = fixtures / "models" / "mobilenet_tf.py"
    spec = importlib.util.spec_from_file_location("oracle_models", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: getattr(module, name)().eval() for name in FACTORIES}
