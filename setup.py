"Builds the package from settings.ini; the version lives in camtutor/__init__.py."
import re, shutil
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here / 'settings.ini', encoding='utf8')
cfg = config['DEFAULT']
photos = cfg['photos_requirements'].split()
course = photos + cfg['course_requirements'].split()

COURSE = 'nbs/**/*.ipynb', 'docs/*.md', 'docs/*.jpg', 'docs/*.png'

class WithCourse(build_py):
    "The notebooks, and the pictures and pages they link, travel in the wheel, in camtutor/course."
    def run(self):
        super().run()
        if self.editable_mode: return # they lie beside the package
        for file in (f for pattern in COURSE for f in here.glob(pattern) if '.ipynb_checkpoints' not in f.parts):
            to = Path(self.build_lib)/'camtutor'/'course'/file.relative_to(here)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)

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
    cmdclass={'build_py': WithCourse},
    install_requires=cfg['requirements'].split(),
    extras_require={'photos': photos, 'course': course, 'dev': course + cfg['dev_requirements'].split()},
    entry_points={'console_scripts': ['camtutor=camtutor.cli:main']},
)
