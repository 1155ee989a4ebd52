"Builds the package from settings.ini; the version lives in camtutor/__init__.py."
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here / 'settings.ini', encoding='utf8')
cfg = config['DEFAULT']
photos = cfg['photos_requirements'].split()
course = photos + cfg['course_requirements'].split()

setup(
    name=cfg['lib_name'],
    version=re.search(r'__version__ = "(.+)"', (here / 'camtutor/__init__.py').read_text(encoding='utf8'))[1],
    description=cfg['description'],
    long_description=(here / 'README.md').read_text(encoding='utf8'),
    long_description_content_type='text/markdown',
    keywords=cfg['keywords'].split(),
    author=cfg['author'],
    license_expression=cfg['license'],
    license_files=['LICENSE'],
    python_requires='>=' + cfg['min_python'],
    packages=find_packages(include=['camtutor', 'camtutor.*']),
    package_data={'camtutor': ['data/*', 'voila/templates/camtutor/*', 'ui/*.css', 'ui/*.js']},
    install_requires=cfg['requirements'].split(),
    extras_require={'photos': photos, 'course': course, 'dev': course + cfg['dev_requirements'].split()},
    entry_points={'console_scripts': ['camtutor=camtutor.cli:main']},
)
