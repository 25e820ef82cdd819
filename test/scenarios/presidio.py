"""Presidio's analyzer behind its HTTP API, for test/scenarios/presidio.test.ts. Prints its port.

Models of spaCy aren't on PyPI, so this one knows names from rules: a blank pipeline with an entity ruler, which
Presidio's own SpacyRecognizer reads as it reads a trained one. A list of denied words is a recogniser of its own.
"""

import json
import sys
import tempfile

import spacy
from flask import Flask, Response, jsonify, request
from presidio_analyzer import AnalyzerEngine, AnalyzerRequest, PatternRecognizer
from presidio_analyzer.nlp_engine import NlpEngineProvider
from werkzeug.serving import make_server

nlp = spacy.blank("en")
title = {"IS_TITLE": True, "IS_ALPHA": True}
nlp.add_pipe("entity_ruler").add_patterns(
    [
        {"label": "PERSON", "pattern": [{"LOWER": {"IN": ["mr", "ms", "dr"]}}, {"TEXT": ".", "OP": "?"}, title, title]},
        {"label": "PERSON", "pattern": [{"TEXT": {"IN": ["Ann", "Zoë", "José"]}}, title]},
        {"label": "GPE", "pattern": [{"TEXT": {"IN": ["Paris", "Zürich"]}}]},
        {"label": "ORG", "pattern": [title, {"TEXT": {"IN": ["Corp", "GmbH"]}}]},
    ]
)
folder = tempfile.mkdtemp(prefix="sidegate-presidio-")
nlp.to_disk(folder)

engine = AnalyzerEngine(
    nlp_engine=NlpEngineProvider(
        nlp_configuration={
            "nlp_engine_name": "spacy",
            "models": [{"lang_code": "en", "model_name": folder}],
            "ner_model_configuration": {
                "model_to_presidio_entity_mapping": {"PERSON": "PERSON", "GPE": "LOCATION", "ORG": "ORGANIZATION"},
                "labels_to_ignore": [],
                "low_score_entity_names": [],
            },
        }
    ).create_engine(),
    supported_languages=["en"],
)
engine.registry.add_recognizer(
    PatternRecognizer(supported_entity="LOCATION", deny_list=["Elm Street 5", "Übelstraße 7"])
)

app = Flask(__name__)


@app.post("/analyze")
def analyze():
    """Answers as presidio-analyzer/app.py of Presidio's repository does, which isn't in its package."""
    try:
        asked = AnalyzerRequest(request.get_json())
        results = engine.analyze(
            text=asked.text,
            language=asked.language,
            entities=asked.entities,
            score_threshold=asked.score_threshold,
            return_decision_process=asked.return_decision_process,
        )
        return Response(json.dumps(results, default=lambda o: o.to_dict()), content_type="application/json")
    except Exception as problem:
        return jsonify(error=str(problem)), 500


server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
sys.stdout.flush()
server.serve_forever()
