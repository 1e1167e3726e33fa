"""hilum: transfer learning on chest radiographs and lung CT that is honest about what it learnt."""

__version__ = "0.1.0"
